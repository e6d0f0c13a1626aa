package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"weir/bridge/client"
	"weir/broker/message"
	"weir/broker/packet"
)

// retainedImport takes the retained messages of one broker to another.
type retainedImport struct {
	from, to connectFlags
	source   string
	filter   string
	quiet    time.Duration
	longest  time.Duration
	dryRun   bool
}

// importRetained copies retained messages. A broker does not say which of them is the last: mosquitto and others send
// them all behind SUBACK, so when nothing retained has come for a while (--quiet), and the broker has answered a second
// SUBSCRIBE sent after that, which stands behind all it had to send, that was all.
func importRetained(ctx context.Context, c console, args []string) int {
	f := flags("import retained", "--from URL [-t FILTER] [--dry-run] [-h HOST]")
	r := &retainedImport{}
	r.to.register(f)
	f.StringVar(&r.source, "from", "", "the broker to take them from: mqtt://[USER@]HOST[:PORT] or mqtts://...")
	f.StringVar(&r.from.passwordFile, "from-password-file", "", "file that holds the password for it")
	f.StringVar(&r.from.ca, "from-cafile", "", "its certificate authorities (PEM)")
	f.StringVar(&r.from.cert, "from-cert", "", "client certificate for it (PEM)")
	f.StringVar(&r.from.key, "from-key", "", "key of the client certificate (PEM)")
	f.StringVar(&r.filter, "t", "#", "topic filter: which of them")
	f.DurationVar(&r.quiet, "quiet", 2*time.Second, "there are no more when none has come for so long")
	f.DurationVar(&r.longest, "longest", 10*time.Minute, "give up after so long")
	f.BoolVar(&r.dryRun, "dry-run", false, "only count and list them")
	if status, done := parseFlags(c, f, args); done {
		return status
	}
	if f.NArg() > 0 || r.source == "" {
		return c.fail(exitUsage, "import retained: want --from URL, and only flags")
	}
	source, err := r.sourceOptions()
	if err != nil {
		return c.fail(exitUsage, "import retained: --from: %v", err)
	}
	target, err := r.to.options()
	if err != nil {
		return c.fail(exitUsage, "import retained: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, r.longest)
	defer cancel()
	taken, err := r.take(ctx, source)
	if err != nil {
		return c.fail(exitFailed, "import retained: %v", err)
	}
	if r.dryRun {
		bytes := 0
		for i := range taken {
			fmt.Fprintf(c.out, "%s %d bytes\n", taken[i].Topic, len(taken[i].Payload))
			bytes += len(taken[i].Payload)
		}
		fmt.Fprintf(c.err, "%s of %s; nothing was published\n", count(len(taken), "retained message"), count(bytes, "byte"))
		return exitOK
	}
	given, err := r.give(ctx, target, taken)
	fmt.Fprintf(c.err, "%d of %s imported\n", given, count(len(taken), "retained message"))
	if err != nil {
		return c.fail(exitFailed, "import retained: %v", r.to.explain(err))
	}
	return exitOK
}

// sourceOptions makes options of --from and its companions.
func (r *retainedImport) sourceOptions() (client.Options, error) {
	u, err := url.Parse(r.source)
	if err != nil || u.Host == "" {
		return client.Options{}, errors.New("want a URL, such as mqtt://192.168.1.7")
	}
	if _, secret := u.User.Password(); secret {
		return client.Options{}, errors.New("no password in the URL, which other users of the machine can see; give --from-password-file")
	}
	o := client.Options{MaxPacket: largestPacket, Username: u.User.Username()}
	u.User = nil
	o.URL = u.String()
	if err := client.CheckURL(o.URL); err != nil {
		return o, err
	}
	r.from.user = o.Username
	return o, r.from.secrets(&o)
}

// take collects the retained messages: one for each topic, the last that came.
func (r *retainedImport) take(ctx context.Context, o client.Options) ([]packet.Publish, error) {
	var mu sync.Mutex // guards the two below
	var taken []packet.Publish
	at := map[string]int{}
	came := make(chan struct{}, 1)
	o.OnMessages = func(messages []packet.Publish) {
		mu.Lock()
		defer mu.Unlock()
		for i := range messages {
			m := &messages[i]
			if !m.Retain || len(m.Topic) > 0 && m.Topic[0] == '$' { // the rest is news, and $SYS speaks of the other broker
				continue
			}
			whole := message.Message{Publish: *m}
			p := whole.Clone().Publish // with its properties, what is left of its expiry among them
			p.Dup, p.ID = false, 0
			if n, known := at[string(m.Topic)]; known {
				taken[n] = p
				continue
			}
			at[string(m.Topic)] = len(taken)
			taken = append(taken, p)
		}
		select {
		case came <- struct{}{}:
		default:
		}
	}
	conn, err := connectEither(ctx, o)
	if err != nil {
		return nil, r.from.explain(err)
	}
	defer conn.Close()
	if err := subscribed(conn.Subscribe(ctx, packet.Subscription{Filter: []byte(r.filter), QoS: 1})); err != nil {
		return nil, err
	}
	if err := r.untilQuiet(ctx, conn, came); err != nil {
		return nil, err
	}
	// Behind this answer stands whatever the broker had to send before.
	if err := subscribed(conn.Subscribe(ctx, packet.Subscription{Filter: []byte("weir/import/barrier"), QoS: 0})); err != nil {
		return nil, err
	}
	if err := conn.Disconnect(ctx, packet.Success); err != nil && !errors.Is(err, client.ErrClosed) {
		return nil, err
	}
	mu.Lock()
	defer mu.Unlock()
	return taken, nil
}

// connectEither connects by MQTT 5.0, which has more to tell of a message, or by 3.1.1 if the broker does not know that: it says so, or
// hangs up.
func connectEither(ctx context.Context, o client.Options) (*client.Conn, error) {
	o.Version = packet.V5
	conn, err := client.Connect(ctx, o)
	var failed *client.Error
	if errors.As(err, &failed) && (failed.Kind == client.Rejected && failed.Reason == packet.UnsupportedProtocolVersion || failed.Kind == client.PeerClosed) {
		o.Version = packet.V311
		return client.Connect(ctx, o)
	}
	return conn, err
}

func subscribed(reasons []packet.Reason, err error) error {
	if err == nil && reasons[0].Failed() {
		err = fmt.Errorf("the other broker refuses the subscription: %v", reasons[0])
	}
	return err
}

// untilQuiet waits until nothing has come for a while.
func (r *retainedImport) untilQuiet(ctx context.Context, conn *client.Conn, came <-chan struct{}) error {
	quiet := time.NewTimer(r.quiet)
	defer quiet.Stop()
	for {
		select {
		case <-quiet.C:
			return nil
		case <-came:
			quiet.Reset(r.quiet)
		case <-conn.Done():
			return conn.Err()
		case <-ctx.Done():
			return fmt.Errorf("messages still came after %v: %w", r.longest, context.Cause(ctx))
		}
	}
}

// give publishes them at QoS 1, which is acknowledged when they are kept.
func (r *retainedImport) give(ctx context.Context, o client.Options, messages []packet.Publish) (given int, err error) {
	conn, err := client.Connect(ctx, o)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	for i := range messages {
		p := messages[i]
		p.QoS = 1
		if err := conn.Publish(ctx, p); err != nil {
			return given, fmt.Errorf("%s: %w", p.Topic, err)
		}
		given++
	}
	if err := conn.Disconnect(ctx, packet.Success); err != nil && !errors.Is(err, client.ErrClosed) {
		return given, err
	}
	return given, nil
}
