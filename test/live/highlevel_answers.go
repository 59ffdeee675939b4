package live

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/transport"
)

func quota(ctx context.Context, h *HighLevel) (Verdict, string) {
	if _, err := h.client.Orders.Page(ctx, ghl.OrderFilter{Limit: 1}, ghl.Cursor{}); err != nil {
		return blocked(err)
	}
	_, header, _ := h.tap.last()
	most, interval, day := header.Get("X-RateLimit-Max"), header.Get("X-RateLimit-Interval-Milliseconds"), header.Get("X-RateLimit-Limit-Daily")
	switch {
	case most == "" || interval == "" || day == "":
		return Open, "the answer does not have the headers"
	case most == "100" && interval == "10000" && day == "200000":
		return Holds, "100 in 10 seconds, 200,000 a day"
	}
	return Fails, fmt.Sprintf("%.20s in %.20s ms, %.20s a day", most, interval, day)
}

func dailyReset(_ context.Context, h *HighLevel) (Verdict, string) {
	_, header, _ := h.tap.last()
	value := header.Get("X-RateLimit-Daily-Reset")
	if value == "" {
		return Open, "the header does not come while there is quota left"
	}
	if left, err := time.ParseDuration(value + "ms"); err != nil || left <= 0 || left > 24*time.Hour {
		return Fails, fmt.Sprintf("it is no number of milliseconds within a day: %.20s", value)
	}
	return Holds, "it is a number of milliseconds within a day"
}

func missingOrder(ctx context.Context, h *HighLevel) (Verdict, string) {
	_, err := h.client.Orders.Get(ctx, nobody)
	switch {
	case ghl.IsNotFound(err):
		return Holds, fmt.Sprintf("status %d, and understood", statusOf(err))
	case err == nil:
		return Fails, "an order that does not exist is answered with success"
	case transport.IsStatus(err, http.StatusUnauthorized), statusOf(err) == 0:
		return blocked(err)
	}
	return Fails, "not understood as missing: " + err.Error()
}

func couponLinks(ctx context.Context, h *HighLevel) (Verdict, string) {
	plain, err := h.client.Coupons.Page(ctx, ghl.CouponFilter{}, ghl.Cursor{})
	if err != nil {
		return blocked(err)
	}
	links, err := h.client.Coupons.PageLinks(ctx, ghl.CouponFilter{}, ghl.Cursor{})
	if err != nil {
		return refusal(err)
	}
	for _, c := range plain.Rows {
		if len(c.ProductIDs) > 0 {
			return Fails, "the older version tells the products too"
		}
	}
	for _, c := range links.Rows {
		if len(c.ProductIDs) > 0 {
			return Holds, "v3 tells the products, the older version does not"
		}
	}
	return Open, fmt.Sprintf("%d coupons, none for certain products", len(links.Rows))
}

type totalShape struct {
	name string
	form *regexp.Regexp
}

var totalShapes = []totalShape{
	{"a number", regexp.MustCompile(`^\d+$`)}, {"a quoted number", regexp.MustCompile(`^"\d+"$`)},
	{"{total:n}", regexp.MustCompile(`^\{\s*"total"\s*:\s*"?\d+"?\s*\}$`)},
	{"[{total:n}]", regexp.MustCompile(`^\[\s*\{\s*"total"\s*:\s*"?\d+"?\s*\}\s*\]$`)},
}

func totals(ctx context.Context, h *HighLevel) (Verdict, string) {
	var seen []string
	for name, list := range map[string]func() error{
		"products": func() error {
			_, err := h.client.Products.Page(ctx, ghl.ProductFilter{Limit: 1}, ghl.Cursor{})
			return err
		},
		"stock": func() error {
			_, err := h.client.Inventory.Page(ctx, ghl.StockFilter{Limit: 1}, ghl.Cursor{})
			return err
		},
	} {
		if err := list(); err != nil {
			return blocked(err)
		}
		i := slices.IndexFunc(totalShapes, func(s totalShape) bool { return s.form.Match(h.tap.field("total")) })
		if i < 0 {
			return Fails, "the total of " + name + " has another shape"
		}
		seen = append(seen, name+" "+totalShapes[i].name)
	}
	return Holds, "read: " + strings.Join(seen, ", ")
}

func duplicateSearch(ctx context.Context, h *HighLevel) (Verdict, string) {
	_, found, err := h.client.Contacts.FindDuplicate(ctx, "tallystick-probe@nobody.invalid", "")
	switch {
	case err == nil && !found:
		return Holds, "nobody is found, and the answer is understood"
	case err == nil:
		return Fails, "somebody is found for an address that cannot exist"
	case statusOf(err)/100 == 2:
		return Fails, "the answer is not understood: " + err.Error()
	}
	return blocked(err)
}

func invoiceNumbers(ctx context.Context, h *HighLevel) (Verdict, string) {
	page, err := h.client.Invoices.Page(ctx, ghl.InvoiceFilter{}, ghl.Cursor{})
	if err != nil {
		return blocked(err)
	}
	seen := map[string]bool{}
	for _, i := range page.Rows {
		if i.Number != "" && seen[i.Number] {
			return Holds, "a number comes twice"
		}
		seen[i.Number] = true
	}
	return Open, fmt.Sprintf("%d invoices, and no number twice", len(page.Rows))
}

func subscriptionWords(ctx context.Context, h *HighLevel) (Verdict, string) {
	known := " trialing active canceled suspended incomplete past_due incomplete_expired unpaid expired "
	page, err := h.client.Subscriptions.Page(ctx, ghl.SubscriptionFilter{}, ghl.Cursor{})
	if err != nil {
		return blocked(err)
	}
	met, strange := map[string]int{}, map[string]int{}
	for _, s := range page.Rows {
		met[s.Status]++
		if !strings.Contains(known, " "+strings.ToLower(s.Status)+" ") {
			strange[s.Status]++
		}
	}
	switch {
	case len(met) == 0:
		return Open, "there are no subscriptions"
	case len(strange) > 0:
		return Holds, "beyond those of the help article: " + words(strange)
	}
	return Open, "only words of the help article: " + words(met)
}

func otherLocation(ctx context.Context, h *HighLevel) (Verdict, string) {
	if transport.IsStatus(h.ordersErr, http.StatusUnauthorized) {
		return blocked(h.ordersErr)
	}
	there, err := h.connect(nowhere, newTap(nil))
	if err != nil {
		return blocked(err)
	}
	defer there.CloseIdle()
	_, err = there.Orders.Page(ctx, ghl.OrderFilter{Limit: 1}, ghl.Cursor{})
	switch {
	case ghl.IsWrongLocation(err):
		return Holds, "refused with 403"
	case err == nil:
		return Fails, "another location is answered with success"
	case statusOf(err) == 0:
		return blocked(err)
	}
	return Fails, fmt.Sprintf("refused with %d", statusOf(err))
}

func highLevelDate(_ context.Context, h *HighLevel) (Verdict, string) { return dateOf(h.tap) }

// dateOf reads the clock of the last answer.
func dateOf(t *tap) (Verdict, string) {
	status, header, _ := t.last()
	if status == 0 {
		return Open, "no answer came"
	}
	at, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return Fails, "the answer has no Date that can be read"
	}
	return Holds, "it differs from this machine's clock by " + time.Since(at).Abs().Truncate(time.Second).String()
}
