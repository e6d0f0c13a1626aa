package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the .want files anew")

// testOptions is an environment that is the same everywhere: the user is not
// root, and nothing outside of testdata is looked at.
func testOptions() Options {
	env := map[string]string{"HOME": "/home/pi", "CLOUD_PASSWORD": "hunter2", "CREDENTIALS_DIRECTORY": "testdata/credentials"}
	return Options{
		Drivers: testDrivers(),
		ID:      func(string) (string, error) { return "gw-1", nil },
		Getenv:  func(name string) string { return env[name] },
		Geteuid: func() int { return 1000 },
		Shared:  true,
	}
}

// parseFile checks a file of testdata as weir.toml beside the files it names.
func parseFile(t testing.TB, path string) (*Config, []Problem, error) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cfg, problems, err := Parse("testdata/weir.toml", data, testOptions())
	for i := range problems {
		problems[i].File = "weir.toml"
	}
	return cfg, problems, err
}

// TestBroken holds what is said about each broken file of testdata, word for word.
func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(files) < 35 {
		t.Fatalf("%d broken files (%v), want at least 35", len(files), err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			cfg, problems, err := parseFile(t, file)
			if Failed(problems) != (err != nil) || (cfg == nil) != (err != nil) {
				t.Errorf("config %v, error %v, want them to say the same as the problems", cfg != nil, err)
			}
			got := strings.ReplaceAll(Report(problems), here, "/here")
			for _, secret := range []string{"hunter2", "swordfish"} {
				if strings.Contains(got, secret) {
					t.Errorf("the secret %q is shown:\n%s", secret, got)
				}
			}
			name := strings.TrimSuffix(file, ".toml") + ".want"
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
