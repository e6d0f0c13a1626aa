package main

import (
	"errors"
	"net"
	"net/url"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// v3 is paho.mqtt.golang, MQTT 3.1.1.
type v3 struct {
	c    mqtt.Client
	nc   net.Conn
	came chan message
}

func connectV3(address string, o options) (client, error) {
	v := &v3{came: make(chan message, 1000)}
	opts := mqtt.NewClientOptions().AddBroker("tcp://" + address).SetClientID(o.id).SetCleanSession(!o.keep).SetAutoReconnect(false).SetProtocolVersion(4).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			v.came <- message{m.Topic(), string(m.Payload()), m.Qos(), m.Retained()}
		}).
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
			nc, err := net.Dial("tcp", address)
			v.nc = nc
			return nc, err
		})
	if o.will != "" {
		opts.SetWill(o.will, "gone", 1, false)
	}
	v.c = mqtt.NewClient(opts)
	return v, done(v.c.Connect())
}

func done(t mqtt.Token) error {
	if !t.WaitTimeout(patience) {
		return errors.New("no answer")
	}
	return t.Error()
}

func (v *v3) subscribe(filter string, qos byte) error { return done(v.c.Subscribe(filter, qos, nil)) }

func (v *v3) publish(topic, payload string, qos byte, retain bool) error {
	return done(v.c.Publish(topic, qos, retain, payload))
}

func (v *v3) received() <-chan message { return v.came }
func (v *v3) leave()                   { v.c.Disconnect(100) }
func (v *v3) vanish()                  { v.nc.Close() }
