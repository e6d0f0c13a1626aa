package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"weir/bridge/client"
	"weir/broker/packet"
)

// connectFlags are what pub and sub take to reach a broker, with the letters of mosquitto_pub and mosquitto_sub.
type connectFlags struct {
	host, user, password, passwordFile, id, protocol string
	port                                             int
	keepAlive                                        int
	qos                                              int
	ca, cert, key                                    string
	tls                                              bool
}

func (o *connectFlags) register(f *flag.FlagSet) {
	f.StringVar(&o.host, "h", "127.0.0.1", "host of the broker")
	f.IntVar(&o.port, "p", 0, "port (default 1883, with TLS 8883)")
	f.StringVar(&o.user, "u", "", "user name")
	f.StringVar(&o.password, "P", "", "password; other users of the machine can see it, --password-file is better")
	f.StringVar(&o.passwordFile, "password-file", "", "file that holds the password")
	f.StringVar(&o.id, "i", "", "client id (default: the broker gives one)")
	f.StringVar(&o.protocol, "V", "5", "protocol version: 5 or 311")
	f.IntVar(&o.keepAlive, "k", 60, "keep alive in seconds")
	f.IntVar(&o.qos, "q", 0, "quality of service: 0, 1 or 2")
	f.BoolVar(&o.tls, "tls", false, "use TLS with the machine's certificate authorities")
	f.StringVar(&o.ca, "cafile", "", "use TLS with these certificate authorities (PEM)")
	f.StringVar(&o.cert, "cert", "", "client certificate (PEM)")
	f.StringVar(&o.key, "key", "", "key of the client certificate (PEM)")
}

// options turns the flags into the client's options, or says which flag is wrong.
func (o *connectFlags) options() (client.Options, error) {
	c := client.Options{ClientID: o.id, Username: o.user}
	switch o.protocol {
	case "5", "mqttv5":
		c.Version = packet.V5
	case "311", "mqttv311", "4":
		c.Version = packet.V311
	default:
		return c, fmt.Errorf("-V %s: want 5 or 311", o.protocol)
	}
	if o.qos < 0 || o.qos > 2 {
		return c, fmt.Errorf("-q %d: want 0, 1 or 2", o.qos)
	}
	if o.keepAlive < 0 || o.keepAlive > 65535 {
		return c, fmt.Errorf("-k %d: want 0 to 65535 seconds", o.keepAlive)
	}
	c.KeepAlive = time.Duration(o.keepAlive) * time.Second
	if o.keepAlive == 0 {
		c.KeepAlive = -1
	}
	if o.port < 0 || o.port > 65535 {
		return c, fmt.Errorf("-p %d: want 1 to 65535", o.port)
	}
	if (o.cert == "") != (o.key == "") {
		return c, errors.New("--cert and --key: want both or neither")
	}
	scheme, port := "mqtt", 1883
	if o.tls || o.ca != "" || o.cert != "" {
		scheme, port = "mqtts", 8883
	}
	if o.port != 0 {
		port = o.port
	}
	host := strings.TrimSuffix(strings.TrimPrefix(o.host, "["), "]")
	c.URL = scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port))
	if strings.Contains(host, "/") || client.CheckURL(c.URL) != nil {
		return c, fmt.Errorf("-h %q: want the name or the address of a host alone; the port goes to -p", o.host)
	}
	c.MaxPacket = largestPacket
	if err := o.secrets(&c); err != nil {
		return c, err
	}
	return c, nil
}

// explain adds to an error of connecting what to do about it.
func (o *connectFlags) explain(err error) error {
	var e *client.Error
	if !errors.As(err, &e) || e.Kind != client.Rejected {
		return err
	}
	switch {
	case e.Reason != packet.NotAuthorized && e.Reason != packet.BadUserNameOrPassword:
	case o.user == "":
		return fmt.Errorf("%w; give a user and a password with -u and --password-file", err)
	default:
		return fmt.Errorf("%w; look at -u and the password", err)
	}
	return err
}

// largestPacket is what the protocol allows at most, head included (5.0, 2.1.4): the broker is the one to set limits.
const largestPacket = 5 + 268_435_455

func (o *connectFlags) secrets(c *client.Options) error {
	if o.password != "" && o.passwordFile != "" {
		return errors.New("want -P or --password-file, not both")
	}
	if o.password != "" {
		c.Password = []byte(o.password)
	}
	if o.passwordFile != "" {
		text, err := os.ReadFile(o.passwordFile)
		if err != nil {
			return fmt.Errorf("--password-file: %w", err)
		}
		if c.Password = bytes.TrimRight(text, "\r\n"); len(c.Password) == 0 {
			return fmt.Errorf("--password-file: %s is empty", o.passwordFile)
		}
	}
	if c.Version == packet.V311 && c.Password != nil && o.user == "" {
		return errors.New("a password needs a user name, -u, in MQTT 3.1.1") // v3 [MQTT-3.1.2-22]
	}
	c.TLS = client.TLS{CAFile: o.ca, CertFile: o.cert, KeyFile: o.key}
	return nil
}
