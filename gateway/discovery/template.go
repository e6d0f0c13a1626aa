package discovery

import "strings"

// The templates by which Home Assistant finds a number in a payload that is more than a number.
const (
	Value  = "{{ value_json.value }}" // in the JSON object of one value
	Record = "{{ value_json[0].v }}"  // in a SenML pack of one record
)

var quoteJinja = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// Member is the template for one quantity of a JSON object. One that is not in it, as it is bad, is unknown then.
func Member(name string) string {
	return "{{ value_json.get('" + quoteJinja.Replace(name) + "') }}"
}

// RecordOf is the same for a SenML pack, whose first name stands behind its base name.
func RecordOf(name string) string {
	return "{{ value_json | selectattr('n', 'eq', '" + quoteJinja.Replace(name) + "') | map(attribute='v') | first | default('None') }}"
}
