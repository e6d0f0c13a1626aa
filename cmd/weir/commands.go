package main

// commands is every command, in the order in which help lists them.
var commands = []command{
	{"run", "[--config FILE]", "run the gateway", runRun},
	{"demo", "[--for 30s]", "run it all with simulated chips and an upstream that goes away and comes back", runDemo},
	{"check", "[FILE]", "check a configuration", runCheck},
	{"explain", "[DRIVER | TABLE.KEY]", "what a setting or a driver is, takes and does without it", runExplain},
	{"scan", "[--modbus] [--json]", "look for sensors and print what to write for them", runScan},
	{"read", "[NAME...]", "read sensors once", runRead},
	{"status", "[--json]", "how the weir that runs here is, and what it counts", runStatus},
	{"reload", "", "have the weir that runs here take its configuration anew", runReload},
	{"pub", "-t TOPIC -m TEXT", "publish a message", runPub},
	{"sub", "-t FILTER", "print messages as they come", runSub},
	{"buffer", "stat|ls|cat|verify|...", "look into what is stored, while weir runs or not", runBuffer},
	{"bench", "broker", "put load on a broker, any broker, and say what it does and costs", runBench},
	{"import", "mosquitto|retained", "take over from another broker: its configuration, its retained messages", runImport},
	{"passwd", "add|delete|list", "users that may connect to the broker", runPasswd},
	{"version", "", "print the version", runVersion},
}
