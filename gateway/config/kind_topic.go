package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"weir/broker/topic"
)

// levelKind is one level of a topic, for names that become part of one.
func levelKind(want string) kind {
	return kind{"name", want, func(_ *input, v any) (any, error) {
		s, err := text(v)
		if err != nil {
			return nil, err
		}
		if !isLevel(s) {
			return nil, errWant
		}
		return s, nil
	}}
}

func isLevel(s string) bool {
	return s != "" && len(s) <= 64 && utf8.ValidString(s) && !strings.ContainsAny(s, "/+#${}\x00")
}

// filterKind is a topic filter.
func filterKind(opts ...topic.Option) kind {
	return kind{"filter", `a topic filter, such as "/Home/#"`, func(in *input, v any) (any, error) {
		return result(parseFilter(in, v, opts...))
	}}
}

func filtersKind(opts ...topic.Option) kind {
	return kind{"filters", `an array of topic filters, such as ["plant/pump7/#"]`, func(in *input, v any) (any, error) {
		list, ok := v.([]any)
		if s, isText := v.(string); isText {
			return nil, fmt.Errorf("got %s, want an array: [%s]", quoteClip(s), quoteClip(s))
		}
		if !ok {
			return nil, errWant
		}
		filters := make([]topic.Filter, len(list))
		var wrong parts
		for i, v := range list {
			f, err := parseFilter(in, v, opts...)
			if errors.Is(err, errWant) {
				err = fmt.Errorf("got %v, want a topic filter in quotes", v)
			}
			if err != nil {
				wrong = append(wrong, inside{n: i + 1, err: err})
			}
			filters[i] = f
		}
		return filters, wrong.orNil()
	}}
}

func parseFilter(in *input, v any, opts ...topic.Option) (topic.Filter, error) {
	s, err := text(v)
	if err != nil {
		return topic.Filter{}, err
	}
	if s, err = in.expand(s); err != nil {
		return topic.Filter{}, err
	}
	f, err := topic.ParseFilter(s, opts...)
	if err != nil {
		return f, fmt.Errorf("%w%s", err, wildHint(s))
	}
	if _, shared := f.Shared(); shared {
		return topic.Filter{}, fmt.Errorf("got %s, want a filter without $share", quoteClip(s))
	}
	return f, nil
}

func wildHint(s string) string {
	if strings.Contains(s, "*") {
		return "; the wildcards of MQTT are + for one level and # for the rest"
	}
	return ""
}

// levelsKind is whole levels put in front of a topic or taken off it; one slash
// at its end makes no difference.
var levelsKind = kind{"levels", `levels of a topic, such as "sites/{id}"`, func(in *input, v any) (any, error) {
	s, err := text(v)
	if err != nil {
		return nil, err
	}
	if s, err = in.expand(s); err != nil {
		return nil, err
	}
	if strings.ContainsAny(s, "+#") {
		return nil, fmt.Errorf("got %s, want levels without the wildcards + and #", quoteClip(s))
	}
	s = strings.TrimSuffix(s, "/")
	if s == "" {
		return s, nil
	}
	if err := topic.ValidName([]byte(s)); err != nil {
		return nil, err
	}
	return s, nil
}}

// topicKind is a topic to publish to, quantities left as placeholders.
var topicKind = kind{"topic", `a topic, such as "/Home/Floor1/Room1/{Quantity}"`, func(in *input, v any) (any, error) {
	s, err := text(v)
	if err != nil {
		return nil, err
	}
	if s, err = in.expand(s); err != nil {
		return nil, err
	}
	switch {
	case s == "":
		return nil, errWant
	case strings.ContainsAny(s, "+#"):
		return nil, fmt.Errorf("got %s, want a topic without the wildcards + and #: values are published to one topic", quoteClip(s))
	case s[0] == '$':
		return nil, fmt.Errorf("got %s, want a topic that does not begin with $", quoteClip(s))
	}
	if err := topic.ValidName([]byte(Template(s).Expand("x"))); err != nil {
		return nil, err
	}
	return Template(s), nil
}}
