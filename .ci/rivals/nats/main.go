// Command nats is a NATS server that speaks MQTT, with JetStream, which its MQTT needs, in a directory.
//
//	nats ADDRESS DIR
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "nats:", err)
		os.Exit(1)
	}
}

func serve() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("want an address, such as 127.0.0.1:1883, and a directory")
	}
	host, port, err := net.SplitHostPort(os.Args[1])
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	options := &server.Options{
		ServerName: "rival", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: os.Args[2],
	}
	options.MQTT.Host, options.MQTT.Port = host, number
	s, err := server.NewServer(options)
	if err != nil {
		return err
	}
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, os.Interrupt, syscall.SIGTERM)
	go s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return fmt.Errorf("not ready after 10 seconds")
	}
	<-ends
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}
