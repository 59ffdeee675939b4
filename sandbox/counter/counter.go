// Package counter counts the requests that a sandbox server gets, by operation. Both vendors' servers embed it; tests and
// the benchmark ask it what a payment cost.
package counter

import (
	"maps"
	"strings"
	"sync"
)

// Requests counts requests. The zero value counts from nothing, and its methods may be called from many goroutines.
type Requests struct {
	mu        sync.Mutex
	calls     map[string]int
	throttled int
}

// Count counts a request, refused or not.
func (c *Requests) Count(operation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	c.calls[operation]++
}

// CountThrottled counts a request that was over the limit.
func (c *Requests) CountThrottled() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.throttled++
}

// Calls tells how many requests arrived by operation, such as "ghl.orders.get", refused ones included.
func (c *Requests) Calls() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counted := maps.Clone(c.calls)
	if counted == nil {
		counted = map[string]int{}
	}
	return counted
}

// CallCount sums up the calls of the operations that begin so; "ghl." is all of HighLevel's.
func (c *Requests) CallCount(prefix string) int {
	total := 0
	for operation, n := range c.Calls() {
		if strings.HasPrefix(operation, strings.ToLower(prefix)) {
			total += n
		}
	}
	return total
}

// Throttled tells how many requests were over the limit. Injected faults don't count.
func (c *Requests) Throttled() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.throttled
}

// ResetCalls starts counting calls and throttled requests anew.
func (c *Requests) ResetCalls() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.calls)
	c.throttled = 0
}
