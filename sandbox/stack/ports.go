package stack

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

const loopback = "127.0.0.1"

// The ports that are tried lie below those that systems give to outgoing connections. So nobody is likely to take one
// between our look and the start of the process that is to listen there.
const (
	firstPort    = 20_000
	portRange    = 10_000
	portAttempts = 100
)

// freePort finds a loopback port that nobody listens on and that is not in taken, and adds it there.
func freePort(taken map[int]bool) (int, error) {
	for range portAttempts {
		port := firstPort + rand.IntN(portRange) //nolint:gosec // a port, not a secret
		if taken[port] {
			continue
		}
		listener, err := net.Listen("tcp", address(port))
		if err != nil {
			continue
		}
		taken[port] = true
		return port, listener.Close()
	}
	return 0, errors.New("no free port was found on " + loopback)
}

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
