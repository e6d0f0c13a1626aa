package config

import (
	"slices"
	"time"

	"weir/broker/topic"
	"weir/sensors"
)

// sections is the table everything comes from: what may stand in a file, what
// it becomes, and what is said about it.
func sections(drivers []sensors.Driver) []*section {
	all := []*section{
		gatewaySection(), sensorsSection(), sensorSection(drivers), serialSection(),
		listenerSection(), userSection(), bridgeSection(), forwardSection(), receiveSection(), brokerSection(), bufferSection(), homeSection(),
	}
	for _, d := range drivers {
		if d.Table == nil || slices.ContainsFunc(all, func(s *section) bool { return s.pattern == tablePattern(d.Table) }) {
			continue
		}
		all = append(all, tableSection(d.Table))
	}
	return all
}

func gatewaySection() *section {
	s := &section{pattern: "gateway", meaning: "the machine itself",
		open: func(cfg *Config, _ any, _ string) any { return &cfg.Gateway }}
	add(s, "id", levelKind(`one level of a topic, such as "site-017", without / + # $ { }`), nil, func(g *Gateway) *string { return &g.ID },
		"the name of this gateway: stands for {id} in topics and names",
		byDefault("from the machine, kept from the first start on"), example(`"site-017"`))
	add(s, "data_dir", pathKind, nil, func(g *Gateway) *string { return &g.DataDir },
		"where everything that must survive a restart is kept",
		byDefault("$STATE_DIRECTORY, else /var/lib/weir for root, else ~/.local/state/weir"), example(`"/var/lib/weir"`))
	add(s, "timezone", zoneKind, "Local", func(g *Gateway) **time.Location { return &g.Timezone },
		"the time zone people read times in; data always carries UTC", example(`"Europe/Berlin"`))
	add(s, "elevation", elevationKind, nil, func(g *Gateway) **float64 { return &g.Elevation },
		"how many metres above the sea the sensors are", example("520"))
	add(s, "clock", choiceKind([]string{"ntp", "always"}), "ntp", func(g *Gateway) *string { return &g.Clock },
		"when the machine's clock is believed: once NTP vouches for it, or always, for a machine whose clock has a battery",
		example(`"always"`))
	return s
}

func sensorsSection() *section {
	s := &section{pattern: "sensors", meaning: "sensors that are found by themselves, and defaults for all",
		open: func(cfg *Config, _ any, _ string) any { return &cfg.Sensors }}
	add(s, "auto", boolKind, nil, func(s *Sensors) *bool { return &s.Auto },
		"publish every chip that identifies itself beyond doubt and has no table of its own",
		byDefault("true while the file has no [sensor.NAME]"), example("true"))
	add(s, "every", everyKind, "10s", func(s *Sensors) *time.Duration { return &s.Every },
		"how often a sensor is read that does not say so itself", example(`"10s"`))
	add(s, "align", boolKind, false, func(s *Sensors) *bool { return &s.Align },
		"whether sensors are read at whole multiples of their interval, such as every full minute, once the clock is right", example("true"))
	return s
}

func serialSection() *section {
	s := &section{pattern: "serial.NAME", meaning: "one serial port", rest: (*checker).serialKeys,
		open: func(cfg *Config, _ any, name string) any {
			cfg.Serial[name] = &Serial{Name: name}
			return cfg.Serial[name]
		}}
	for _, k := range sensors.SerialKeys {
		s.keys = append(s.keys, k.Name)
	}
	return s
}

// tableSection is a family of tables that a driver reads: [modbus.MAP.QUANTITY].
func tableSection(t *sensors.Table) *section {
	s := &section{pattern: tablePattern(t), meaning: "one quantity of a device's register map",
		rest: func(c *checker, tb *table) { c.rowKeys(t, tb) },
		open: func(*Config, any, string) any { return nil }}
	for _, k := range t.Keys {
		s.keys = append(s.keys, k.Name)
	}
	return s
}

func brokerSection() *section {
	s := &section{pattern: "broker", reload: true, meaning: "the broker for local clients",
		open: func(cfg *Config, _ any, _ string) any { return &cfg.Broker }}
	add(s, "inner_wildcard", boolKind, false, func(b *Broker) *bool { return &b.InnerWildcard },
		"whether clients may write # before the last level of a filter, as in /Home/#/Temperature; the standard forbids it", example("true"), restart)
	add(s, "max_packet", sizeKind(1<<10, 256<<20, 1, "1MiB"), "1MiB", func(b *Broker) *Size { return &b.MaxPacket },
		"the largest packet taken from a client", example(`"1MiB"`))
	add(s, "queue_messages", integerKind[int](1, 1_000_000), int64(1000), func(b *Broker) *int { return &b.QueueMessages },
		"how many messages may wait for one slow client", example("1000"))
	add(s, "queue_bytes", sizeKind(1<<10, 1<<30, 1, "1MiB"), "1MiB", func(b *Broker) *Size { return &b.QueueBytes },
		"how many bytes may wait for one slow client", example(`"1MiB"`))
	limitFields(s)
	return s
}

func homeSection() *section {
	s := &section{pattern: "home_assistant", meaning: "what Home Assistant is told",
		open: func(cfg *Config, _ any, _ string) any { return &cfg.HomeAssistant }}
	add(s, "discovery", boolKind, false, func(h *HomeAssistant) *bool { return &h.Discovery },
		"whether Home Assistant is told of all sensors by MQTT discovery; switched off, what it was told is taken back", example("true"))
	add(s, "prefix", levelsKind, "homeassistant", func(h *HomeAssistant) *string { return &h.Prefix },
		"the discovery prefix that is set in Home Assistant", example(`"homeassistant"`))
	return s
}

func userSection() *section {
	s := &section{pattern: "user.NAME", reload: true, meaning: `what one user may do; "*" is everyone who has logged in`,
		open: func(cfg *Config, _ any, name string) any {
			cfg.User[name] = &User{Name: name}
			return cfg.User[name]
		}}
	add(s, "password", secretKind("pump7.password", anyText), nil, func(u *User) **Secret { return &u.Password },
		"the password, when it is not in the password file", example(`{ file = "pump7.password" }`), secret)
	add(s, "publish", filtersKind(), nil, func(u *User) *[]topic.Filter { return &u.Publish },
		"the topics the user may publish to", byDefault("none"), example(`["plant/pump7/#"]`), placeholders("id", "user", "client"))
	add(s, "subscribe", filtersKind(), nil, func(u *User) *[]topic.Filter { return &u.Subscribe },
		"the topics the user may subscribe to", byDefault("none"), example(`["plant/pump7/cmd/#"]`), placeholders("id", "user", "client"))
	return s
}
