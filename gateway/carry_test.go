package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/packet"
	"weir/gateway/status"
)

const commands = `
[[bridge.cloud.receive]]
filter = "sites/{id}/command/#"
strip = "sites/{id}"
`

// TestCommand: what the upstream publishes reaches local subscribers.
func TestCommand(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.start(head + noSensors + toCloud + commands)
	reader := s.subscribe("command/#")
	defer reader.close()
	if err := s.cloud.WaitSubscribed(s.ctx, "sites/g1/command/#"); err != nil {
		t.Fatal(err)
	}
	s.cloud.Publish("sites/g1/command/valve", []byte("open"), 1, false)
	reader.wait("the command", func(topic, payload string, _ bool) bool { return topic == "command/valve" && payload == "open" })
	if err := s.cloud.WaitUnacknowledged(s.ctx, 0); err != nil {
		t.Errorf("the upstream never gets its acknowledgement: %v", err)
	}
}

// TestCommandIsKeptBeforeItIsAcknowledged: a command that another upstream is to have is acknowledged to the one it came
// from only when it is kept.
func TestCommandIsKeptBeforeItIsAcknowledged(t *testing.T) {
	s := newSite(t, upstream.Options{})
	other, err := upstream.Listen(upstream.Options{Behaviour: upstream.Behaviour{AckDelay: 0}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.Down()
	// Commits are a second apart, so that the order can be seen.
	s.start(head + noSensors + toCloud + commands + fmt.Sprintf("[bridge.other]\nurl = %q\n[[bridge.other.forward]]\nfilter = \"command/#\"\n", other.URL()) +
		"[buffer]\ngather = \"1s\"\n")
	reader := s.subscribe("command/#")
	defer reader.close()
	if err := s.cloud.WaitSubscribed(s.ctx, "sites/g1/command/#"); err != nil {
		t.Fatal(err)
	}
	before := s.gateway.Status().Store.Syncs
	s.cloud.Publish("sites/g1/command/valve", []byte("open"), 1, false)
	reader.wait("the command", func(topic, _ string, _ bool) bool { return topic == "command/valve" })
	unacknowledged, syncs := s.cloud.Unacknowledged(), s.gateway.Status().Store.Syncs
	if syncs == before && unacknowledged != 1 {
		t.Error("acknowledged before it was kept")
	}
	if err := s.cloud.WaitUnacknowledged(s.ctx, 0); err != nil {
		t.Fatal(err)
	}
	if got := s.gateway.Status().Store.Syncs; got == before {
		t.Error("acknowledged although nothing was written")
	}
}

// TestRulesAlike: of two rules alike the first takes the messages, and what it says of durability holds.
func TestRulesAlike(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.cloud.Down()
	s.start(head + noSensors + `
[bridge.cloud]
url = "CLOUD"
[[bridge.cloud.forward]]
filter = "plant/#"
[[bridge.cloud.forward]]
filter = "plant/#"
durability = "memory"
`)
	publisher, err := s.connect(client.Options{ClientID: "p"})
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.close()
	before := s.gateway.Status().Store.Syncs
	if err := publisher.conn.Publish(s.ctx, packet.Publish{Topic: []byte("plant/x"), Payload: []byte("1"), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	if s.gateway.Status().Store.Syncs == before {
		t.Error("acknowledged although nothing was written")
	}
}

// TestOrderlyStop: what was published before a stop, acknowledged or not yet, is on disk, and the next gateway delivers
// it, once and in order.
func TestOrderlyStop(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.cloud.Down()
	text := head + noSensors + toCloud
	s.start(text)
	pump, err := s.connect(client.Options{ClientID: "pump"})
	if err != nil {
		t.Fatal(err)
	}
	const count = 2000
	for i := range count {
		p := packet.Publish{QoS: byte(i % 2), Topic: []byte("/Home/level"), Payload: fmt.Append(nil, i)}
		for within(limit, func() bool { err = pump.conn.Send(&p, uint64(i)); return err != client.ErrWindow }); err != nil; {
			t.Fatal(err)
		}
	}
	pump.conn.Flush()
	s.want("all taken", func(st *status.Snapshot) bool { return st.Broker.Received >= count })
	st := s.gateway.Status()
	if st.Bridges[0].Backlog != count || st.OK() || !strings.Contains(st.Verdict(), "2000 messages waiting") {
		t.Errorf("backlog %d, verdict %q, want %d waiting", st.Bridges[0].Backlog, st.Verdict(), count)
	}
	s.stop()
	pump.close()
	if err := s.cloud.Up(); err != nil {
		t.Fatal(err)
	}
	s.start(text)
	want := make([]string, count)
	for i := range want {
		want[i] = fmt.Sprintf(`"value":%d`, i)
	}
	var got []string
	if err := s.cloud.Wait(s.ctx, func(all []upstream.Arrival) bool { return levels(all, &got) >= count }); err != nil {
		t.Errorf("%d of %d arrived", len(got), count)
	}
	s.want("drained", func(st *status.Snapshot) bool { return st.Bridges[0].Backlog == 0 })
	s.stop() // and a third time nothing is left to deliver
	s.start(text)
	s.want("connected", func(st *status.Snapshot) bool { return st.Bridges[0].State == "connected" })
	s.stop()
	levels(s.cloud.Arrivals(), &got)
	if len(got) != count {
		t.Fatalf("%d arrived, want %d", len(got), count)
	}
	for i := range got {
		if !strings.Contains(got[i], want[i]) {
			t.Fatalf("arrival %d is %s, want %s", i, got[i], want[i])
		}
	}
}

// levels collects the payloads of the one topic.
func levels(all []upstream.Arrival, got *[]string) int {
	*got = (*got)[:0]
	for _, a := range all {
		if a.Topic == "sites/g1/Home/level" {
			*got = append(*got, string(a.Payload))
		}
	}
	return len(*got)
}

// TestTLS: the upstream is reached over TLS with the authority of the configuration, and not with another one.
func TestTLS(t *testing.T) {
	caPEM, serverTLS := certify(t)
	otherPEM, _ := certify(t)
	for _, c := range []struct {
		name string
		ca   []byte
		ok   bool
	}{{"known", caPEM, true}, {"unknown", otherPEM, false}} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, upstream.Options{TLS: serverTLS})
			cfg := s.config(head + noSensors + "[bridge.cloud]\nurl = \"CLOUD\"\nca = { file = \"" + s.write("ca.pem", string(c.ca)) + "\" }\n" +
				"[[bridge.cloud.forward]]\nfilter = \"/Home/#\"\n")
			s.startWith(cfg, s.options())
			if c.ok {
				s.want("connected", func(st *status.Snapshot) bool { return st.Bridges[0].State == "connected" })
				return
			}
			st := s.want("the refusal", func(st *status.Snapshot) bool { return st.Bridges[0].Err != "" })
			if b := st.Bridges[0]; b.State == "connected" || !strings.Contains(b.Err, "certificate") {
				t.Errorf("state %q, error %q, want one that speaks of the certificate", b.State, b.Err)
			}
			if !strings.Contains(st.Verdict(), "ertificate") || st.OK() {
				t.Errorf("verdict %q, want the certificate in it", st.Verdict())
			}
			if s.cloud.Connects() != 0 {
				t.Error("connected all the same")
			}
		})
	}
}

// certify makes an authority and a server certificate of it for 127.0.0.1.
func certify(t *testing.T) (ca []byte, server *tls.Config) {
	t.Helper()
	issue := func(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	rootKey, key := newKey(), newKey()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "upstream"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootDER := issue(root, root, rootKey, rootKey)
	der := issue(leaf, root, key, rootKey)
	ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})
	return ca, &tls.Config{Certificates: []tls.Certificate{{Certificate: slices.Clone([][]byte{der}), PrivateKey: key}}}
}
