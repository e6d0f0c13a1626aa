package config

import (
	"slices"
	"strings"
)

// foreign are the words other programs use, and ours.
var foreign = map[string][]string{
	"host":            {"url", "address"},
	"hostname":        {"url", "address"},
	"server":          {"url"},
	"broker":          {"url"},
	"endpoint":        {"url"},
	"port":            {"url", "device", "address"},
	"uri":             {"url"},
	"urls":            {"url"},
	"baudrate":        {"mode"},
	"baud":            {"mode"},
	"bauds":           {"mode"},
	"speed":           {"mode"},
	"parity":          {"mode"},
	"bytesize":        {"mode"},
	"stopbits":        {"mode"},
	"databits":        {"mode"},
	"path":            {"device"},
	"tty":             {"device"},
	"interval":        {"every"},
	"period":          {"every"},
	"poll":            {"every"},
	"poll_interval":   {"every"},
	"update_interval": {"every"},
	"rate":            {"every"},
	"type":            {"driver"},
	"chip":            {"driver"},
	"model":           {"driver"},
	"platform":        {"driver"},
	"module":          {"driver"},
	"i2c_address":     {"address"},
	"i2c_bus":         {"bus"},
	"slave":           {"address"},
	"slave_id":        {"address"},
	"order_code":      {"range"},
	"part":            {"range"},
	"part_number":     {"range"},
	"range_units":     {"range_unit"},
	"oversampling":    {"oversample"},
	"resolution":      {"precision", "oversample", "bits"},
	"unit_id":         {"address"},
	"serial":          {"bus"},
	"qos_level":       {"qos"},
	"retained":        {"retain"},
	"user":            {"username"},
	"login":           {"username"},
	"pass":            {"password"},
	"passwd":          {"password"},
	"pwd":             {"password"},
	"remote_username": {"username"},
	"remote_password": {"password"},
	"remote_clientid": {"client_id"},
	"clientid":        {"client_id"},
	"cafile":          {"ca", "client_ca"},
	"ca":              {"client_ca"},
	"capath":          {"client_ca"},
	"crlfile":         {"crl"},
	"tls":             {"cert"},
	"websocket":       {"protocol"},
	"websockets":      {"protocol"},
	"websockets_path": {"path"},
	"tls_version":     {"tls_min"},
	"socket":          {"address"},
	"permissions":     {"mode"},
	"origin":          {"origins"},

	"require_certificate":      {"client_certificates"},
	"client_certificate":       {"client_certificates"},
	"use_identity_as_username": {"identity"},
	"use_subject_as_username":  {"identity"},
	"websockets_origin":        {"origins"},

	"bridge_cafile":   {"ca"},
	"ca_cert":         {"ca"},
	"ca_file":         {"ca"},
	"certfile":        {"cert"},
	"cert_file":       {"cert"},
	"tls_cert":        {"cert"},
	"bridge_certfile": {"cert"},
	"keyfile":         {"key"},
	"key_file":        {"key"},
	"tls_key":         {"key"},
	"bridge_keyfile":  {"key"},
	"keep_alive":      {"keepalive"},
	"keepalive_secs":  {"keepalive"},
	"cleansession":    {"clean"},
	"clean_session":   {"clean"},
	"clean_start":     {"clean"},
	"protocol":        {"version"},
	"mqtt_version":    {"version"},
	"max_inflight":    {"window"},
	"inflight":        {"window"},
	"topics":          {"filter", "topic"},
	"topic":           {"filter"},
	"pattern":         {"filter"},
	"remote_prefix":   {"prefix"},
	"local_prefix":    {"strip"},
	"allow_anonymous": {"anonymous"},
	"password_file":   {"passwords"},
	"acl":             {"publish"},
	"listen":          {"address"},
	"bind":            {"address"},
	"bind_address":    {"address"},
	"read":            {"subscribe"},
	"write":           {"publish"},
	"precision":       {"decimals"},
	"round":           {"decimals"},
	"digits":          {"decimals"},
	"calibration":     {"calibrate", "offset"},
	"linear":          {"calibrate"},
	"multiply":        {"gain"},
	"factor":          {"gain"},
	"scale":           {"gain"},
	"correction":      {"offset"},
	"delta":           {"deadband"},
	"hysteresis":      {"deadband"},
	"throttle":        {"min_interval"},
	"expire_after":    {"expire"},
	"expiry":          {"expire"},
	"ttl":             {"expire"},
	"altitude":        {"elevation"},
	"height":          {"elevation"},
	"json":            {"object", "format"},
	"payload":         {"format"},
	"data_directory":  {"data_dir"},
	"persistence_dir": {"data_dir"},
	"tz":              {"timezone"},
	"name":            {"id"},
	"device_id":       {"id"},
	"limit":           {"max_size"},
	"size":            {"max_size"},
	"sensors":         {"sensor"},
	"listeners":       {"listener"},
	"users":           {"user"},
	"bridges":         {"bridge"},
	"mqtt":            {"listener", "bridge"},
	"cloud":           {"bridge"},
	"modbus_rtu":      {"modbus"},
	"storage":         {"buffer"},
	"persistence":     {"buffer"},
	"queue":           {"buffer"},
	"device":          {"gateway"},
	"general":         {"gateway"},
	"global":          {"gateway"},
	"in":              {"receive"},
	"out":             {"forward"},
	"subscribe":       {"receive"},
	"publish":         {"forward"},
}

// suggest returns which of the words was probably meant: one letter off, then
// the word another program uses for it, then what is two letters or a third of
// the length off. "" if none.
func suggest(word string, words []string) string {
	lower := strings.ToLower(strings.ReplaceAll(word, "-", "_"))
	for _, w := range words {
		if distance(lower, w) <= 1 && len(w) > 2 {
			return w
		}
	}
	for _, ours := range foreign[lower] {
		if slices.Contains(words, ours) {
			return ours
		}
	}
	return nearest(lower, words)
}

// nearest returns the word with the smallest distance that is at most 2 or a
// third of the length, and less than half of it.
func nearest(word string, words []string) string {
	best, least := "", max(2, len(word)/3)+1
	for _, w := range words {
		d := distance(strings.ToLower(word), strings.ToLower(w))
		if d < least && 2*d < max(len(w), len(word)) {
			best, least = w, d
		}
	}
	return best
}

// distance counts the letters to insert, remove, replace or swap with their
// neighbour to make a into b.
func distance(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return 100
	}
	two, one, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(one[j]+1, row[j-1]+1, one[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, one, row = one, row, two
	}
	return one[len(b)]
}
