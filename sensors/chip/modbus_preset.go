package chip

import "weir/sensors"

// modbusPresets are the maps that need not be written. Registers and codes from the
// makers' manuals: XY-MD02; the tables of two families of Chinese pressure
// transmitters as lobaro prints them; Vaisala HMD65 M212243EN, A.1 and A.4.
var modbusPresets = map[string][]sensors.Row{
	// XY-MD02 temperature and humidity transmitter; 9600 8N1, slave 1 when new.
	"xy-md02": roomClimate(0.1),
	// MD02, which looks the same, counts in hundredths and talks 9600 8E1 or 8O1.
	"md02": roomClimate(0.01),

	// Pressure transmitters that say unit and decimals themselves; 9600 8N1, slave 1
	// when new. Whether they count from vacuum stands on their label: reference.
	"pressure-integer": {{Quantity: "pressure", Values: map[string]any{
		"register": 4, "type": "int16", "invalid": []int64{-32768, 32767},
		"unit_register": 2, "decimals_register": 3,
		"unit_codes": []string{"0=MPa", "1=kPa", "2=Pa", "3=bar", "4=mbar", "5=kg/cm²", "6=psi", "7=mH2O", "8=mmH2O"},
	}}},
	"pressure-float":      pressureFloat("ABCD"),
	"pressure-float-cdab": pressureFloat("CDAB"),

	// Vaisala HMD60 and HMD65: floats with the lowest register first. Their test
	// register tells if a gateway between turns the order round.
	"hmd60": {
		{Quantity: "test", Values: map[string]any{"register": 0x1F01, "type": "float32", "order": "CDAB", "expect": -123.45}},
		{Quantity: "humidity", Values: map[string]any{"register": 0, "type": "float32", "order": "CDAB", "unit": "%RH", "min": 0.0, "max": 100.0}},
		{Quantity: "temperature", Values: map[string]any{"register": 2, "type": "float32", "order": "CDAB", "unit": "°C", "min": -40.0, "max": 80.0}},
		{Quantity: "dew_point", Values: map[string]any{"register": 4, "type": "float32", "order": "CDAB", "unit": "°C"}},
	},
}

func roomClimate(scale float64) []sensors.Row {
	return []sensors.Row{
		{Quantity: "temperature", Values: map[string]any{"table": "input", "register": 1, "type": "int16", "unit": "°C", "scale": scale, "min": -40.0, "max": 80.0}},
		{Quantity: "humidity", Values: map[string]any{"table": "input", "register": 2, "type": "uint16", "unit": "%RH", "scale": scale, "min": 0.0, "max": 100.0}},
	}
}

// pressureFloat is the family that has its pressure as a float. Codes that are no
// pressure (mA, %, m, °C) are left out.
func pressureFloat(order string) []sensors.Row {
	return []sensors.Row{{Quantity: "pressure", Values: map[string]any{
		"register": 22, "type": "float32", "order": order, "unit_register": 3, "decimals_register": 4,
		"unit_codes": []string{"0=kPa", "1=MPa", "4=inH2O", "5=ftH2O", "6=mmH2O", "7=mmHg", "8=psi", "9=bar", "10=mbar",
			"11=g/cm²", "12=kg/cm²", "13=Pa", "14=Torr", "15=atm", "20=inHg", "21=mHg", "22=mH2O"},
	}}}
}
