package shop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
)

// ClubOptions say how many customers pay again and again.
type ClubOptions struct {
	Seed    int64
	Members int
	// PerSecond is how many members join in a second; as fast as possible where it is zero.
	PerSecond float64
}

// Club is a shop's customers with a subscription. Each joins, pays, and then pays again, changes to a dearer plan, is given
// money back, pauses or leaves: as fast as the club goes, since no month passes while one looks on. Their payments have no
// order. Run it once.
type Club struct {
	opts  ClubOptions
	ghl   *ghl.Server
	dice  *rand.Rand
	plans map[domain.Currency][2]string // a price and a dearer one
}

// NewClub makes a club on the server's first location.
func NewClub(server *ghl.Server, o ClubOptions) *Club {
	return &Club{opts: o, ghl: server, plans: map[domain.Currency][2]string{},
		dice: rand.New(rand.NewPCG(uint64(o.Seed), 0xc10b))} //nolint:gosec // a shop, not a secret
}

// Run lets all members join, at the given pace, and do what they do, and returns when they have, or with the context's
// error.
func (c *Club) Run(ctx context.Context) error {
	if c.opts.Members == 0 {
		return nil
	}
	c.found()
	pace := time.Nanosecond
	if c.opts.PerSecond > 0 {
		pace = time.Duration(float64(time.Second) / c.opts.PerSecond)
	}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := range c.opts.Members {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := c.member(i); err != nil {
			return fmt.Errorf("shop: member %d of the club: %w", i, err)
		}
	}
	return nil
}

// found puts the club's plans up for sale.
func (c *Club) found() {
	product := c.ghl.AddProduct(ghl.Product{Name: "Coffee club", Type: "SERVICE"})
	price := func(name string, amount domain.Money, every string) string {
		return c.ghl.AddPrice(ghl.Price{ProductID: product, Name: name, Amount: amount, Interval: every, IntervalCount: 1})
	}
	c.plans["EUR"] = [2]string{
		price("A bag a month", domain.NewMoney(1490, "EUR"), "month"), price("A crate a month", domain.NewMoney(4900, "EUR"), "month"),
	}
	c.plans["USD"] = [2]string{
		price("A year of coffee", domain.NewMoney(19_900, "USD"), "year"), price("A year for two", domain.NewMoney(34_900, "USD"), "year"),
	}
}

// member is all that one of them does.
func (c *Club) member(i int) error {
	currency := domain.Currency("EUR")
	if c.dice.IntN(100) < 30 {
		currency = "USD"
	}
	contact := c.ghl.AddContact(ghl.Contact{FirstName: fmt.Sprintf("Member %d", i+1), LastName: "of the club",
		Email: fmt.Sprintf("member%d-%d@club.example", c.opts.Seed, i+1)})
	sub, err := c.ghl.Subscribe(ghl.NewSubscription{ContactID: contact, PriceID: c.plans[currency][0], TestMode: c.dice.IntN(100) < 5})
	if err != nil {
		return err
	}
	first, err := c.ghl.Renew(sub.ID, ghl.NewPayment{})
	if err != nil {
		return err
	}
	again := func(status string) error {
		_, err := c.ghl.Renew(sub.ID, ghl.NewPayment{Status: status})
		return err
	}
	roll := c.dice.IntN(100)
	switch {
	case roll < 30:
		return again("succeeded")
	case roll < 40: // the card has expired, and is replaced
		return errors.Join(again("failed"), again("succeeded"))
	case roll < 50:
		return again("failed")
	case roll < 65:
		return errors.Join(c.ghl.ChangePlan(sub.ID, c.plans[currency][1]), again("succeeded"))
	case roll < 80:
		return c.ghl.CancelSubscription(sub.ID)
	case roll < 90:
		return errors.Join(c.ghl.Refund(first.ID, first.Amount), c.ghl.CancelSubscription(sub.ID))
	case roll < 95:
		return c.ghl.PauseSubscription(sub.ID)
	}
	return c.ghl.Refund(first.ID, domain.NewMoney(first.Amount.Minor/2, currency))
}
