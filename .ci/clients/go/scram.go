package main

import (
	"context"
	"fmt"
	"net"

	"github.com/eclipse/paho.golang/paho"
	"github.com/xdg-go/scram"
)

const scramMethod = "SCRAM-SHA-256"

// scramAuther answers challenges, for one exchange at a time.
type scramAuther struct{ talk *scram.ClientConversation }

// Authenticate implements paho.Auther.
func (s *scramAuther) Authenticate(a *paho.Auth) *paho.Auth {
	last, err := s.talk.Step(string(a.Properties.AuthData))
	if err != nil {
		last = err.Error()
	}
	return scramStep(0x18, last)
}

// Authenticated implements paho.Auther.
func (s *scramAuther) Authenticated() {}

func scramStep(reason byte, data string) *paho.Auth {
	return &paho.Auth{ReasonCode: reason, Properties: &paho.AuthProperties{AuthMethod: scramMethod, AuthData: []byte(data)}}
}

// proved wants the server to have shown that it has the keys.
func (s *scramAuther) proved(data []byte) error {
	if _, err := s.talk.Step(string(data)); err != nil || !s.talk.Valid() {
		return fmt.Errorf("the server proved itself with %q: %v", data, err)
	}
	return nil
}

// scramLogin logs in by an exchange and authenticates anew, and is refused with another password. paho.golang carries the messages,
// xdg-go/scram makes them.
func scramLogin(address, user, password string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	login := func(password string) (*paho.Client, *scramAuther, *paho.Connack, error) {
		made, err := scram.SHA256.NewClient(user, password, "")
		if err != nil {
			return nil, nil, nil, err
		}
		s := &scramAuther{talk: made.NewConversation()}
		nc, err := net.Dial("tcp", address)
		if err != nil {
			return nil, nil, nil, err
		}
		first, err := s.talk.Step("")
		if err != nil {
			return nil, nil, nil, err
		}
		c := paho.NewClient(paho.ClientConfig{ClientID: "clients-scram", Conn: nc, AuthHandler: s})
		ack, err := c.Connect(ctx, &paho.Connect{ClientID: "clients-scram", CleanStart: true, KeepAlive: 30,
			Properties: &paho.ConnectProperties{AuthMethod: scramMethod, AuthData: []byte(first)}})
		if err == nil {
			err = s.proved(ack.Properties.AuthData)
			s.talk = made.NewConversation() // for the next exchange
		}
		return c, s, ack, err
	}
	c, s, _, err := login(password)
	if err != nil {
		return err
	}
	first, err := s.talk.Step("")
	if err != nil {
		return err
	}
	again, err := c.Authenticate(ctx, scramStep(0x19, first)) // of its answer paho keeps no data, so the proof in it is not looked at
	if err != nil || !again.Success {
		return fmt.Errorf("authenticated anew: %+v, %v", again, err)
	}
	if _, err := c.Publish(ctx, &paho.Publish{Topic: "clients/scram", Payload: []byte("1"), QoS: 1}); err != nil {
		return err
	}
	c.Disconnect(&paho.Disconnect{})
	if _, _, ack, err := login(password + "x"); err == nil || ack == nil || ack.ReasonCode != 0x87 {
		return fmt.Errorf("with another password: %+v, %v", ack, err)
	}
	return nil
}
