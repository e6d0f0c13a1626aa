package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/broker/packet"
	"weir/broker/transport/authority"
)

// exchangeWith connects, publishes to itself and waits for the message.
func exchangeWith(t *testing.T, o client.Options) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	came := make(chan string, 10)
	o.OnMessages = func(all []packet.Publish) {
		for _, m := range all {
			came <- string(m.Payload)
		}
	}
	c, err := client.Connect(ctx, o)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Subscribe(ctx, packet.Subscription{Filter: []byte("x"), QoS: 1}); err != nil {
		return err
	}
	if err := c.Publish(ctx, packet.Publish{QoS: 1, Topic: []byte("x"), Payload: []byte("hello")}); err != nil {
		return err
	}
	select {
	case <-came:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// by dials a Unix socket.
func by(path string) client.Options {
	return client.Options{URL: "mqtt://localhost", Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
}

// TestSocketActivation hands sockets to a process as systemd does. They outlive it: clients that come while it is dead wait
// for the next one, and none is refused.
func TestSocketActivation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mqtt.sock")
	lan, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lan.Close()
	here, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	var files []*os.File
	for _, l := range []interface{ File() (*os.File, error) }{lan.(*net.TCPListener), here.(*net.UnixListener)} {
		f, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	w := newWeir(t, fmt.Sprintf("[sensors]\nauto = false\n[listener.lan]\naddress = %q\n[listener.here]\naddress = \"unix:%s\"\n", lan.Addr(), path))
	launch := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		// LISTEN_PID is the process that is meant (sd_listen_fds(3)); exec keeps the shell's.
		w.cmd = exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" run --config "$1"`, w.path, w.config)
		w.cmd.Env = append(os.Environ(), "STATE_DIRECTORY="+filepath.Join(w.dir, "data"), "LISTEN_FDS=2", "LISTEN_FDNAMES=lan:here")
		w.cmd.ExtraFiles = files
		w.cmd.Stdout, w.cmd.Stderr = &lockedWriter{mu: &w.mu, to: &w.output}, &lockedWriter{mu: &w.mu, to: &w.output}
		if err := w.cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		first := make(chan error, 2)
		go func() { first <- exchangeWith(t, client.Options{URL: "mqtt://" + lan.Addr().String()}) }() // before there is a process
		go func() { first <- exchangeWith(t, by(path)) }()
		launch()
		for range 2 {
			if err := <-first; err != nil {
				t.Fatalf("%v; weir said:\n%s", err, w.said())
			}
		}
		w.kill()
	}
	launch()
	if err := exchangeWith(t, by(path)); err != nil {
		t.Fatal(err)
	}
	w.stop()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the socket of others was removed: %v", err)
	}
}

// TestSocketActivationElsewhere: sockets for another process are left alone.
func TestSocketActivationElsewhere(t *testing.T) {
	w := newWeir(t, fmt.Sprintf("[sensors]\nauto = false\n[listener.lan]\naddress = \"127.0.0.1:%d\"\n", freePort(t)))
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LISTEN_FDNAMES", "lan")
	w.start()
	w.stop()
}

// TestStaleUnixSocket: what a killed process leaves behind is not in the way of the next one.
func TestStaleUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mqtt.sock")
	w := newWeir(t, "[sensors]\nauto = false\n[listener.here]\naddress = \"unix:"+path+"\"\n")
	up := func() error {
		var err error
		for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); {
			if err = exchangeWith(t, by(path)); err == nil {
				return nil
			}
			time.Sleep(10 * time.Millisecond) // polling a process that has no other way to tell
		}
		return fmt.Errorf("%w; weir said:\n%s", err, w.said())
	}
	for range 2 {
		w.launch()
		if err := up(); err != nil {
			t.Fatal(err)
		}
		w.kill()
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("kill -9 left no socket (%v), so this test tests nothing", err)
	}
}

// TestCheckTLS: what weir check and weir run say about the files of a listener.
func TestCheckTLS(t *testing.T) {
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	a := authority.New("root")
	dir := t.TempDir()
	put := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("weir.toml", []byte("[sensors]\nauto = false\n[listener.lan]\naddress = \"127.0.0.1:0\"\ncert = { file = \"cert.pem\" }\nkey = { file = \"key.pem\" }\n"))
	run := func(args ...string) (int, string) {
		cmd := exec.Command(path, args...)
		cmd.Env = append(os.Environ(), "STATE_DIRECTORY="+filepath.Join(dir, "data"))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		_ = cmd.Run()
		return cmd.ProcessState.ExitCode(), strings.ReplaceAll(out.String(), dir, "DIR")
	}
	file := filepath.Join(dir, "weir.toml")
	for _, c := range []struct {
		name   string
		left   time.Duration
		key    bool // of another certificate
		status int
		want   string
	}{
		{"good", 100 * 24 * time.Hour, false, 0, "DIR/weir.toml: good: 0 sensors, 1 listener, 0 upstreams\n"},
		{"soon", 10*24*time.Hour + time.Minute, false, 0, "DIR/weir.toml:5:8: warning: listener.lan.cert: the certificate of CN=gateway expires at "},
		{"expired", -time.Hour, false, exitConfig, "DIR/weir.toml:5:8: listener.lan.cert: DIR/cert.pem: the certificate of CN=gateway expired at "},
		{"key", time.Hour, true, exitConfig, "DIR/weir.toml:6:7: listener.lan.key: DIR/key.pem: does not belong to DIR/cert.pem: it holds an ECDSA key P-256 ("},
	} {
		p := a.Issue("gateway", func(x *x509.Certificate) { x.NotAfter = time.Now().Add(c.left) })
		put("cert.pem", p.PEM)
		put("key.pem", p.Key)
		if c.key {
			put("key.pem", a.Issue("other").Key)
		}
		if status, said := run("check", file); status != c.status || !strings.HasPrefix(said, c.want) {
			t.Errorf("%s: status %d, %q, want %d, %q", c.name, status, said, c.status, c.want)
		}
	}
	if status, said := run("run", "--config", file); status != exitConfig || !strings.Contains(said, "does not belong to") {
		t.Errorf("run: status %d, %q", status, said)
	}
	put("key.pem", nil)
	os.Remove(filepath.Join(dir, "cert.pem"))
	if status, said := run("check", file); status != exitConfig || !strings.Contains(said, "listener.lan.cert.file: there is no file DIR/cert.pem") || !strings.Contains(said, "DIR/key.pem is empty") {
		t.Errorf("files that are not there: status %d, %q", status, said)
	}
	if status, said := run("check", "--elsewhere", file); status != 0 {
		t.Errorf("for another machine: status %d, %q", status, said)
	}
}
