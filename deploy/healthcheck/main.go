// Command healthcheck tells a container engine whether an HTTP address answers 200. The images hold neither a shell nor
// curl, so they bring this along.
//
//	healthcheck http://127.0.0.1:8088/readyz
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"
)

// patience is shorter than the timeout of the healthchecks in docker-compose.yml, so that the reason is seen.
const patience = 4 * time.Second

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: healthcheck URL")
		os.Exit(2)
	}
	if err := probe(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "healthcheck:", err)
		os.Exit(1)
	}
}

func probe(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", address, resp.Status)
	}
	return nil
}
