// Package discovery writes the documents by which Home Assistant learns of a gateway and its sensors: device based MQTT
// discovery (home-assistant.io/integrations/mqtt, "Device discovery payload"; core 2024.11 and later). It is pure: what is
// there goes in, topics and payloads come out.
//
//	homeassistant/device/weir_ID/config           the gateway: that it runs, and its links
//	homeassistant/device/weir_ID__SENSOR/config   one sensor, with one entity for each quantity
//
//	{"device":     {"identifiers":["weir_g1__room1"],"name":"room1","model":"BME280","via_device":"weir_g1"},
//	 "origin":     {"name":"weir","sw_version":"1.0.0"},
//	 "availability_mode":"all",
//	 "availability":[{"topic":"weir/g1/status"},{"topic":"weir/g1/sensor/room1","value_template":"..."}],
//	 "components": {"temperature":{"platform":"sensor","unique_id":"weir_g1__room1_temperature","name":"Temperature",
//	                "state_topic":"g1/room1/temperature","device_class":"temperature","state_class":"measurement",
//	                "unit_of_measurement":"°C","expire_after":30}}}
//
// A sensor is available while the gateway runs (weir/ID/status), the link to Home Assistant's own broker, if there is one,
// holds (its will says when not), and its own state is not failing. A quantity that gets no good values any more expires
// after three times the longest silence it may keep, at least 30 s; one of which only changes are published does not.
//
// # Going again
//
// What was announced stays in Home Assistant until it is taken back: an empty retained payload for a device, and for an
// entity of a device that stays, a component of which only the platform is left. So whoever publishes the documents must
// remember what they held, which Document.Parts is for, and hand that in again.
//
// # Names
//
// Home Assistant takes letters, digits, - and _ in the topic. Whatever else a name holds becomes _, and a number made of
// the whole name is added, so that two names stay two; __ stands between gateway and sensor alone.
package discovery
