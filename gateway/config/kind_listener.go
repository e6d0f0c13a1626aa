package config

import (
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
)

// modeKind is file permissions as chmod writes them.
var modeKind = kind{"permissions", `permissions in octal, such as "0660"`, func(_ *input, v any) (any, error) {
	if n, ok := v.(int64); ok {
		return nil, fmt.Errorf(`got %d without quotes, want permissions in octal, such as "0660"`, n)
	}
	s, err := text(v)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(s, 8, 16)
	if err != nil || n == 0 || n > 0o777 || len(s) < 3 || len(s) > 4 {
		return nil, errWant
	}
	return fs.FileMode(n), nil
}}

// requestPathKind is the path of an HTTP request.
var requestPathKind = kind{"path", `a path, such as "/mqtt"`, func(_ *input, v any) (any, error) {
	s, err := text(v)
	if err != nil {
		return nil, err
	}
	if u, err := url.ParseRequestURI(s); err != nil || s[0] != '/' || u.Path != s {
		return nil, errWant
	}
	return s, nil
}}

// originsKind is what browsers send as Origin (RFC 6454 section 7): a scheme and a host, and a port unless it is the usual one.
var originsKind = kind{"origins", `an array of pages as scheme and host, such as ["https://panel.example.com"], or ["*"]`, func(_ *input, v any) (any, error) {
	list, err := textList(v)
	if err != nil {
		return nil, err
	}
	var wrong parts
	for i, s := range list {
		u, err := url.Parse(s)
		switch {
		case s == "*":
		case err != nil || u.Host == "" || u.Scheme == "":
			wrong = append(wrong, inside{n: i + 1, err: fmt.Errorf(`got %s, want scheme and host, such as "https://panel.example.com"`, quoteClip(s))})
		case strings.ToLower(s) != strings.ToLower(u.Scheme+"://"+u.Host):
			wrong = append(wrong, inside{n: i + 1, err: fmt.Errorf("got %s, want no path behind the host: %q", quoteClip(s), u.Scheme+"://"+u.Host)})
		case u.Scheme == "http" && u.Port() == "80", u.Scheme == "https" && u.Port() == "443":
			wrong = append(wrong, inside{n: i + 1, err: fmt.Errorf("got %s, but browsers leave the usual port out: %q", quoteClip(s), u.Scheme+"://"+u.Hostname())})
		}
	}
	return list, wrong.orNil()
}}

// referenceKind is a server reference of MQTT 5.0, section 4.11: a host and a port, or several with a blank between.
var referenceKind = kind{"server", `a host and a port, such as "gateway2.example.com:1883"`, func(_ *input, v any) (any, error) {
	s, err := text(v)
	if err != nil {
		return nil, err
	}
	all := strings.Fields(s)
	for _, one := range all {
		if scheme, rest, ok := strings.Cut(one, "://"); ok {
			return nil, fmt.Errorf("got %s, but clients are told no scheme such as %s; write %q", quoteClip(one), quoteClip(scheme), rest)
		}
		u, err := url.Parse("mqtt://" + one)
		if err != nil || u.Host != one || u.Hostname() == "" || strings.HasSuffix(one, ":") || strings.Count(one, ":") > 1 && one[0] != '[' {
			return nil, errWant
		}
		if port := u.Port(); port != "" {
			if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
				return nil, fmt.Errorf("got port %s, want 1 to 65535", quoteClip(port))
			}
		}
	}
	if len(all) == 0 || len(s) > 1024 {
		return nil, errWant
	}
	return strings.Join(all, " "), nil
}}

// pathsKind is one path or several.
var pathsKind = kind{"paths", `a path or an array of paths, such as ["clients.crl"]`, func(in *input, v any) (any, error) {
	if s, ok := v.(string); ok {
		v = []any{s}
	}
	list, err := textList(v)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i] == "" {
			return nil, errWant
		}
		list[i] = absolute(in.dir, list[i])
	}
	return list, nil
}}

// textList is an array of texts.
func textList(v any) ([]string, error) {
	list, ok := v.([]any)
	if s, isText := v.(string); isText {
		return nil, fmt.Errorf("got %s, want an array: [%s]", quoteClip(s), quoteClip(s))
	}
	if !ok {
		return nil, errWant
	}
	out := make([]string, len(list))
	for i, v := range list {
		s, err := text(v)
		if err != nil {
			return nil, err
		}
		out[i] = s
	}
	return out, nil
}
