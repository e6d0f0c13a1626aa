//go:build !linux

package transport

import (
	"fmt"
	"net"
)

func holder(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		port = address
	}
	return fmt.Sprintf("another program has port %s; \"lsof -iTCP:%s -sTCP:LISTEN\" shows which", port, port)
}
