package main

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"weir/configs"
	"weir/gateway/config"
	"weir/sensors/chip"
)

// checked loads a file as it would be on the machine it is for, and reports what is said about it.
func checked(t *testing.T, name, text string) *config.Config {
	t.Helper()
	o := config.Options{Drivers: chip.Drivers, SkipFiles: true, ID: func(string) (string, error) { return "gw-1", nil }}
	cfg, problems, err := config.Parse(name, []byte(text), o)
	if err != nil || len(problems) > 0 {
		t.Errorf("%s: %v\n%s", name, err, config.Report(problems))
	}
	return cfg
}

// TestConfigs: each file that people copy loads without a word, and the list of them names it.
func TestConfigs(t *testing.T) {
	files, err := fs.Glob(configs.Files, "*.toml")
	if err != nil || len(files) < 5 {
		t.Fatalf("got files %v, %v", files, err)
	}
	list, err := os.ReadFile("../../configs/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := configs.Files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if cfg := checked(t, file, string(data)); cfg != nil && len(cfg.Sensor)+len(cfg.Bridge)+len(cfg.User) == 0 {
			t.Errorf("%s: holds nothing", file)
		}
		if !strings.Contains(string(list), "//\t"+file+" ") {
			t.Errorf("configs/doc.go does not list %s", file)
		}
	}
}

// TestREADME: its table of drivers is that of the program, and what it tells people to write is right.
func TestREADME(t *testing.T) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	_, table, _ := strings.Cut(text, "\n| driver |")
	table, _, _ = strings.Cut(table, "\n\n")
	var listed []string
	for row := range strings.Lines(table) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(row, "|"), "|")
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
			listed = append(listed, name[1])
		}
	}
	for _, d := range chip.Drivers {
		if !slices.Contains(listed, d.Name) {
			t.Errorf("the table of drivers does not list %s", d.Name)
		}
		listed = slices.DeleteFunc(listed, func(name string) bool { return name == d.Name })
	}
	if len(listed) > 0 {
		t.Errorf("the table of drivers lists %v, of which there is none, or twice", listed)
	}
	blocks := 0
	for _, block := range regexp.MustCompile(`(?m)(^    .*\n|^\n)+`).FindAllString(text, -1) {
		if block = strings.TrimSpace(block); strings.HasPrefix(block, "[") {
			blocks++
			checked(t, "README.md", block)
		}
	}
	if blocks < 2 {
		t.Errorf("%d blocks of configuration, want those there are", blocks)
	}
}

// TestREADMECommands: each command line of it is understood, as far as that can be told without running it, and each command is listed.
func TestREADMECommands(t *testing.T) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range commands {
		names = append(names, c.name)
	}
	if list := "`" + strings.Join(names, " ") + "`"; !strings.Contains(string(data), list) {
		t.Errorf("the commands are not listed as %s", list)
	}
	word := regexp.MustCompile(`'[^']*'|[^\s']+`)
	lines := regexp.MustCompile("(?m)^    weir (.*)$|`weir ([^`]+)`").FindAllStringSubmatch(string(data), -1)
	for _, line := range lines {
		text, _, _ := strings.Cut(line[1]+line[2], " #")
		text, _, _ = strings.Cut(text, " > ")
		var args []string
		for _, arg := range word.FindAllString(strings.TrimSuffix(strings.TrimSpace(text), "&"), -1) {
			args = append(args, strings.Trim(arg, "'"))
		}
		var said strings.Builder
		if status := dispatch(t.Context(), console{out: &said, err: &said}, append(args, "--help")); status != exitOK {
			t.Errorf("weir %s: %s", text, &said)
		}
	}
	if len(lines) < 20 {
		t.Errorf("%d command lines, want those there are", len(lines))
	}
}
