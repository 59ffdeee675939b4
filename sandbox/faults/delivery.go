package faults

import "time"

// Deliveries says how badly webhooks are delivered by chance.
type Deliveries struct {
	// Lost is the probability that an event is never sent, between 0 and 1.
	Lost float64
	// Twice and Thrice are the probabilities that an event is sent two or three times.
	Twice, Thrice float64
	// MaxDelay bounds the delay of each copy. Delays are independent of each other, so events overtake one another.
	MaxDelay time.Duration
}

// Deliveries are the webhook faults of the level.
func (l Level) Deliveries() Deliveries {
	switch l {
	case Some:
		return Deliveries{Lost: 0.02, Twice: 0.10, MaxDelay: 100 * time.Millisecond}
	case Hell:
		return Deliveries{Lost: 0.15, Twice: 0.30, Thrice: 0.20, MaxDelay: 1500 * time.Millisecond}
	default:
		return Deliveries{}
	}
}

// SetDeliveries replaces how webhooks go wrong by chance.
func (p *Plan) SetDeliveries(d Deliveries) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.webhooks = d
}

// Delivery says how the event of that name, for instance its webhook id, is sent: one delay for each copy, and none at
// all for an event that is never sent. It is a pure function of seed, name and the level. A nil plan sends once, at once.
func (p *Plan) Delivery(name string) []time.Duration {
	if p == nil {
		return []time.Duration{0}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.webhooks
	rng := p.rand("webhook "+name, 0)
	if rng.Float64() < d.Lost {
		return nil
	}
	copies := 1
	switch at := rng.Float64(); {
	case at < d.Thrice:
		copies = 3
	case at < d.Thrice+d.Twice:
		copies = 2
	}
	delays := make([]time.Duration, copies)
	for i := range delays {
		if d.MaxDelay > 0 {
			delays[i] = time.Duration(rng.Int64N(int64(d.MaxDelay)))
		}
	}
	return delays
}
