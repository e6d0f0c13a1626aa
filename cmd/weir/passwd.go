package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/term"

	"weir/broker/auth"
)

// defaultPasswords is where the packaged service looks for users.
const defaultPasswords = "/etc/weir/passwords"

func runPasswd(ctx context.Context, c console, args []string) int {
	f := flags("passwd", "[--file FILE] [--scram] add NAME | delete NAME | list")
	file := f.String("file", defaultPasswords, "the password file, as `passwords` of a listener names it")
	scram := f.Bool("scram", false, "add keys for SCRAM-SHA-256, by which a client logs in without showing its password; it may show it as well")
	iterations := f.Int("iterations", auth.DefaultIterations, fmt.Sprintf("with --scram: the `NUMBER` of times a client has to hash, %d to %d; a slow one caches the result", auth.MinIterations, auth.MaxIterations))
	if status, done := parseFlags(c, f, args); done {
		return status
	}
	verb, name := f.Arg(0), f.Arg(1)
	want := map[string]int{"add": 2, "delete": 2, "list": 1}[verb]
	if want == 0 || f.NArg() != want {
		return c.fail(exitUsage, "passwd: want add NAME, delete NAME or list")
	}
	switch verb {
	case "list":
		return listUsers(c, *file)
	case "delete":
		found, err := auth.Delete(*file, name)
		switch {
		case err != nil:
			return c.failPasswd(err)
		case !found:
			return c.fail(exitFailed, "passwd: %s has no user %q; its users are listed by: weir passwd --file %s list", *file, name, *file)
		}
		fmt.Fprintf(c.err, "user %s deleted from %s; a weir that runs lets it in until: systemctl reload weir\n", name, *file)
		return exitOK
	}
	if *iterations != auth.DefaultIterations && !*scram {
		return c.fail(exitUsage, "passwd: --iterations is about keys for SCRAM; it needs --scram beside it")
	}
	if !*scram {
		return addUser(ctx, c, *file, name, auth.Set)
	}
	return addUser(ctx, c, *file, name, func(file, name string, password []byte) (bool, error) {
		return auth.SetScram(file, name, password, *iterations)
	})
}

func listUsers(c console, file string) int {
	names, err := auth.List(file)
	if errors.Is(err, fs.ErrNotExist) {
		return c.fail(exitFailed, "passwd: there is no file %s; it is made by: weir passwd --file %s add NAME", file, file)
	}
	for _, name := range names {
		fmt.Fprintln(c.out, name)
	}
	if err != nil {
		return c.failPasswd(err)
	}
	return exitOK
}

// failPasswd prints why the password file could not be used.
func (c console) failPasswd(err error) int {
	if errors.Is(err, fs.ErrPermission) {
		return c.fail(exitFailed, "passwd: %v; run it as the owner of the file, such as with sudo", err)
	}
	return c.fail(exitFailed, "passwd: %v", err)
}

// addUser asks for the password twice at a terminal, or reads one line of standard input. Never from the command line. set
// puts it into the file.
func addUser(ctx context.Context, c console, file, name string, set func(file, name string, password []byte) (bool, error)) int {
	password, err := askPassword(ctx, c, name)
	if err != nil {
		return c.fail(exitFailed, "passwd: %v", err)
	}
	scram := auth.HasScram(file, name)
	replaced, err := set(file, name, password)
	if err != nil {
		return c.failPasswd(err)
	}
	word := "added"
	if replaced {
		word = "changed"
	}
	fmt.Fprintf(c.err, "user %s %s in %s; a weir that runs takes it at: systemctl reload weir\n", name, word, file)
	if scram && !auth.HasScram(file, name) {
		fmt.Fprintf(c.err, "user %s had keys for SCRAM-SHA-256 and has none any more; to give it some: weir passwd --file %s --scram add %s\n", name, file, name)
	}
	return exitOK
}

func askPassword(ctx context.Context, c console, name string) ([]byte, error) {
	in, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		line, err := waitFor(ctx, func() ([]byte, error) { return firstLine(c.in) })
		if err != nil {
			return nil, err
		}
		return checkPassword(line)
	}
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	var typed [2][]byte
	for i, prompt := range []string{"Password for " + name + ": ", "Again: "} {
		fmt.Fprint(c.err, prompt)
		typed[i], err = waitFor(ctx, func() ([]byte, error) { return term.ReadPassword(int(in.Fd())) })
		fmt.Fprintln(c.err)
		if err != nil {
			return nil, errors.Join(err, term.Restore(int(in.Fd()), before))
		}
	}
	if !bytes.Equal(typed[0], typed[1]) {
		return nil, errors.New("the two passwords differ; nothing was changed")
	}
	return checkPassword(typed[0])
}

// firstLine is the first line without its end.
func firstLine(r io.Reader) ([]byte, error) {
	line, err := bufio.NewReader(io.LimitReader(r, longestPassword+2)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// waitFor is what read returns, or an error when ctx ends first; read then goes on by itself until the process ends,
// since a read of standard input cannot be stopped.
func waitFor[T any](ctx context.Context, read func() (T, error)) (T, error) {
	var value T
	var err error
	done := make(chan struct{})
	go func() { value, err = read(); close(done) }()
	select {
	case <-done:
		return value, err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// longestPassword is what CONNECT can carry (5.0, 3.1.3.6).
const longestPassword = 65535

func checkPassword(p []byte) ([]byte, error) {
	if len(p) == 0 {
		return nil, errors.New("the password is empty; nothing was changed")
	}
	if len(p) > longestPassword {
		return nil, fmt.Errorf("the password has more than %d bytes; nothing was changed", longestPassword)
	}
	return p, nil
}
