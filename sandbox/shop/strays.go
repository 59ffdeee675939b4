package shop

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tallystick/tallystick/sandbox/sage"
)

// customers finds accounts and contacts of ours that nobody needs, or that are there twice.
func (c *comparison) customers() {
	used := map[string]map[int64]bool{"accounts": {}, "contacts": {}}
	for _, o := range c.orders {
		used["accounts"][o.Int("accountId")] = true
		used["contacts"][o.Int("contactId")] = true
	}
	paying := map[int64]bool{} // without an order, too
	for name, field := range map[string]string{"sales": "accountId", "opportunities": "accountId1"} {
		for _, r := range c.tenant.Live(name) {
			paying[r.Int(field)] = true
		}
	}
	maps.Copy(used["accounts"], paying)
	for id, contact := range c.contacts {
		account := c.accounts[contact.Int("accountId")]
		if paying[account.ID] && contact.Text("extId") == account.Text("extId") {
			used["contacts"][id] = true
		}
		if used["contacts"][id] {
			used["accounts"][contact.Int("accountId")] = true
		}
	}
	for name, rows := range map[string]map[int64]sage.Record{"accounts": c.accounts, "contacts": c.contacts} {
		inUse, seen := used[name], map[string]bool{}
		for _, r := range rows {
			extID := r.Text("extId")
			if ours := strings.HasPrefix(extID, ownPrefix) && c.byUs(r); ours && !inUse[r.ID] {
				c.say("%s: %s (id %d) belongs to no order, payment or subscription", name, extID, r.ID)
			}
			if strings.HasPrefix(extID, contactPrefix) && seen[extID] {
				c.say("%s: %s is there twice", name, extID)
			}
			seen[extID] = true
		}
	}
	seen := map[string]bool{}
	for _, p := range c.tenant.Live("products") {
		extID := p.Text("extId")
		if strings.HasPrefix(extID, ownPrefix) && seen[extID] {
			c.say("products: %s is there twice", extID)
		}
		seen[extID] = true
	}
}

func (c *comparison) byUs(r sage.Record) bool {
	return r.Int("salesRepIdCreated") == c.tenant.APIUser()
}

// lines finds lines of ours without a live order.
func (c *comparison) lines() {
	live := map[int64]bool{}
	for _, o := range c.orders {
		live[o.ID] = true
	}
	for _, l := range c.tenant.Live("salesordersLines") {
		if c.byUs(l) && !live[l.Int("salesorderId")] {
			c.say("line %d belongs to no live order", l.ID)
		}
	}
}

// writers finds writes by anybody but the API's user. What people say of shipping is not one of them: it is what they have
// the fields for.
func (c *comparison) writers() {
	if c.people {
		return
	}
	for _, w := range c.tenant.Writes() {
		if w.UserID != c.tenant.APIUser() && !aboutShipping(w) {
			c.say("user %d did %s on %s %d", w.UserID, w.Op, w.Resource, w.ID)
		}
	}
}

func aboutShipping(w sage.Write) bool {
	return w.Op == "sage.salesorders.update" && !slices.ContainsFunc(w.Fields, func(field string) bool {
		return field != "Z_FulfillmentStatus" && field != "Z_TrackingNumbers"
	})
}

func (c *comparison) say(format string, args ...any) {
	c.report.Differences = append(c.report.Differences, fmt.Sprintf(format, args...))
}
