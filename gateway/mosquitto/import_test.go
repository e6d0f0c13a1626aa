package mosquitto

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"weir/gateway/config"
)

var update = flag.Bool("update", false, "write the results in testdata anew")

// TestGolden holds what becomes of whole configurations, each a txtar file: what mosquitto reads, and weir.toml. DIR is
// where the files are. A weir that has all keys makes the result that is written down; what this one makes must be a
// configuration without errors, too.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files (%v), want at least 6", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { golden(t, file) })
	}
}

func golden(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir, want, secrets := t.TempDir(), "", ""
	var inputs []txtar.File
	for _, f := range archive.Files {
		switch f.Name {
		case "weir.toml":
			want = string(f.Data)
			continue
		case "secrets":
			secrets = string(f.Data)
			continue
		}
		inputs = append(inputs, f)
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(f.Data), "DIR", dir)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Import(filepath.Join(dir, "mosquitto.conf"), Options{Knows: func(string) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(r.TOML, dir, "DIR")
	kept := ""
	for _, s := range r.Secrets {
		kept += s.Name + " " + s.Value + "\n"
		if strings.Contains(r.TOML, s.Value) {
			t.Errorf("the secret %q stands in the text", s.Value)
		}
	}
	if *update {
		archive.Files = append(inputs, txtar.File{Name: "weir.toml", Data: []byte(got)})
		if kept != "" {
			archive.Files = append(archive.Files, txtar.File{Name: "secrets", Data: []byte(kept)})
		}
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want || kept != secrets {
		t.Errorf("got\n%s\nwant\n%s\nsecrets\n%s\nwant\n%s", got, want, kept, secrets)
	}
	if strings.Contains(got, "hunter2") {
		t.Error("a secret is shown")
	}
	r, err = Import(filepath.Join(dir, "mosquitto.conf"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, problems, err := config.Parse(filepath.Join(dir, "weir.toml"), []byte(r.TOML), config.Options{SkipFiles: true}); err != nil {
		t.Errorf("weir does not take it: %v\n%s\n%s", err, config.Report(problems), r.TOML)
	}
}

// TestEveryLineIsAccountedFor: each setting of the table, alone and in a context, is carried, needless or left, and the
// result is a configuration.
func TestEveryLineIsAccountedFor(t *testing.T) {
	dir := t.TempDir()
	for key := range table() {
		for _, value := range []string{"", "true", "false", "1", "0", "7", "/x y", `a"`, "x\x01\xffy", "{id} {x}"} {
			for _, before := range []string{"listener 1883\nallow_anonymous true\n", "connection c\naddress host\n", "connection c\nbridge_cafile /ca\ntopic x out\n",
				"listener 8883\nallow_anonymous true\ncertfile /c\nkeyfile /k\ncafile /ca\n"} {
				path := filepath.Join(dir, "mosquitto.conf")
				if err := os.WriteFile(path, []byte(before+key+" "+value+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				r, err := Import(path, Options{})
				if err != nil {
					t.Fatalf("%s%s %q: %v", before, key, value, err)
				}
				if _, problems, err := config.Parse(filepath.Join(dir, "weir.toml"), []byte(r.TOML), config.Options{SkipFiles: true}); err != nil {
					t.Errorf("%s%s %q: %v\n%s\n%s", before, key, value, err, config.Report(problems), r.TOML)
				}
				for n := range strings.Count(before, "\n") + 1 {
					if place := fmt.Sprintf("mosquitto.conf:%d", n+1); !names(r.TOML, place) {
						t.Errorf("%s%s %q: %s is nowhere in\n%s", before, key, value, place, r.TOML)
					}
				}
			}
		}
	}
}

func TestParse(t *testing.T) {
	lines := parse("f", []byte("# c\n\n  key  a value \r\n#x\nlone\n"))
	if len(lines) != 2 || lines[0].key != "key" || lines[0].value != "a value" || lines[0].number != 3 || lines[1].key != "lone" || lines[1].value != "" {
		t.Errorf("got %+v", lines)
	}
}

func FuzzImport(f *testing.F) {
	f.Add("listener 1883\nallow_anonymous true\nconnection c\naddress h:1\ntopic # both 2 a/ b/\nremote_password hunter2\n")
	f.Add("port 1883\npassword_file x\ncertfile a\nkeyfile b\nlistener 0 /s\n")
	f.Add("connection a.b\naddress h\nremote_clientid c\nclientid d\ntopic a/+/b in 0 x/ y/\ntopic \"\" both 2 a b\nbridge_certfile c\nbridge_keyfile k\nkeepalive_interval 5\n")
	f.Add("listener 8883 ::1\ncafile a\ncertfile b\nkeyfile c\nrequire_certificate 1\nuse_identity_as_username 1\ntls_version tlsv1.3\nmax_connections 5\nprotocol websockets\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "include_dir") {
			return
		}
		path := filepath.Join(dir, "mosquitto.conf")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Import(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, problems, err := config.Parse(filepath.Join(dir, "weir.toml"), []byte(r.TOML), config.Options{SkipFiles: true}); err != nil {
			t.Errorf("weir does not take it: %v\n%s\n%s", err, config.Report(problems), r.TOML)
		}
	})
}
