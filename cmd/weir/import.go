package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"weir/gateway/config"
	mosquittoconf "weir/gateway/mosquitto"
	"weir/sensors/chip"
)

func runImport(ctx context.Context, c console, args []string) int {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch verb {
	case "mosquitto":
		return importMosquitto(c, args[1:])
	case "retained":
		return importRetained(ctx, c, args[1:])
	case "-h", "-help", "--help":
		fmt.Fprint(c.out, "usage: weir import mosquitto FILE [-o weir.toml]\n       weir import retained --from URL [--dry-run]\n\nFlags of each: weir help import mosquitto, weir help import retained\n")
		return exitOK
	}
	return c.fail(exitUsage, "import: want mosquitto FILE or retained --from URL")
}

// importMosquitto turns a mosquitto.conf into a weir.toml.
func importMosquitto(c console, args []string) int {
	f := flags("import mosquitto", "FILE [-o weir.toml]")
	target := f.String("o", "", "the file to write, and beside it one for each password, which only its owner may read; none of them may exist (default: standard output, without passwords)")
	if status, done := parseFlags(c, f, args); done {
		return status
	}
	if f.NArg() != 1 {
		return c.fail(exitUsage, "import mosquitto: got %d files, want one, such as /etc/mosquitto/mosquitto.conf", f.NArg())
	}
	r, err := mosquittoconf.Import(f.Arg(0), mosquittoconf.Options{})
	if err != nil {
		return c.fail(exitFailed, "import mosquitto: %v", err)
	}
	if *target == "" {
		fmt.Fprint(c.out, r.TOML)
		for _, s := range r.Secrets {
			fmt.Fprintf(c.err, "weir: import mosquitto: the password for %s was not written; -o FILE writes it beside FILE\n", s.Name)
		}
	} else if err := writeImport(*target, r); err != nil {
		return c.fail(exitFailed, "import mosquitto: %v", err)
	}
	for _, d := range r.Dangers {
		fmt.Fprintf(c.err, "weir: import mosquitto: more is possible than it was: %s\n", d)
	}
	if r.Left > 0 {
		fmt.Fprintf(c.err, "weir: import mosquitto: not carried: %s, listed with the reasons at the end of the result\n", count(r.Left, "line"))
	}
	if *target == "" {
		return exitOK
	}
	return judgeImport(c, *target)
}

// writeImport writes the files. One that exists is never touched; if one cannot be written those before it go again.
func writeImport(target string, r *mosquittoconf.Result) (err error) {
	var written []string
	defer func() {
		if err != nil {
			for _, name := range written {
				os.Remove(name)
			}
		}
	}()
	write := func(name, text string, mode fs.FileMode) error {
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists already; give another name with -o, or move it away", name)
		}
		if err != nil {
			return err
		}
		written = append(written, name)
		_, err = file.WriteString(text)
		return errors.Join(err, file.Close())
	}
	for _, s := range r.Secrets {
		if err := write(filepath.Join(filepath.Dir(target), s.Name), s.Value+"\n", 0o600); err != nil {
			return err
		}
	}
	return write(target, r.TOML, 0o640)
}

// judgeImport says what weir makes of the file that was written: it was taken from files that may not be here.
func judgeImport(c console, target string) int {
	cfg, problems, err := config.Load(target, config.Options{Drivers: chip.Drivers, ID: knownID})
	fmt.Fprint(c.err, config.Report(problems))
	if err != nil {
		return c.fail(exitFailed, "import mosquitto: %s is written, and weir does not take it yet: correct what is said above, then: weir check %s", target, target)
	}
	fmt.Fprintf(c.err, "%s is written: %s, %s; try it with: weir run --config %s\n", target, count(len(cfg.Listener), "listener"), count(len(cfg.Bridge), "upstream"), target)
	return exitOK
}
