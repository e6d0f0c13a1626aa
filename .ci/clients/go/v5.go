package main

import (
	"context"
	"fmt"
	"net"

	"github.com/eclipse/paho.golang/paho"
)

// v5 is paho.golang, MQTT 5.0.
type v5 struct {
	c    *paho.Client
	nc   net.Conn
	came chan message
}

func connectV5(address string, o options) (client, error) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	v := &v5{nc: nc, came: make(chan message, 1000)}
	v.c = paho.NewClient(paho.ClientConfig{
		ClientID: o.id, Conn: nc,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			v.came <- message{p.Packet.Topic, string(p.Packet.Payload), p.Packet.QoS, p.Packet.Retain}
			return true, nil
		}},
	})
	p := &paho.Connect{ClientID: o.id, CleanStart: !o.keep, KeepAlive: 30, Properties: &paho.ConnectProperties{}}
	if o.keep {
		lasts := uint32(100)
		p.Properties.SessionExpiryInterval = &lasts
	}
	if o.will != "" {
		p.WillMessage = &paho.WillMessage{Topic: o.will, Payload: []byte("gone"), QoS: 1}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a, err := v.c.Connect(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("connect: %w (%+v)", err, a)
	}
	return v, nil
}

func (v *v5) subscribe(filter string, qos byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := v.c.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: qos}}})
	return err
}

func (v *v5) publish(topic, payload string, qos byte, retain bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := v.c.Publish(ctx, &paho.Publish{Topic: topic, Payload: []byte(payload), QoS: qos, Retain: retain})
	return err
}

func (v *v5) received() <-chan message { return v.came }
func (v *v5) leave()                   { v.c.Disconnect(&paho.Disconnect{}) }
func (v *v5) vanish()                  { v.nc.Close() }
