package shop

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
)

// WithoutShipping leaves out everything about shipping, for runs in which it is not followed.
func WithoutShipping() AgreeOption { return func(c *comparison) { c.goods.off = true } }

// WithoutActivities leaves out the activities on accounts, for runs in which none are entered.
func WithoutActivities() AgreeOption { return func(c *comparison) { c.goods.silent = true } }

// WithoutMails says that customers are not written to of what people in Sage send (FULFILLMENT_NOTIFY_CUSTOMER).
func WithoutMails() AgreeOption { return func(c *comparison) { c.goods.discreet = true } }

// WithWaybills says what people and carriers did. An order's waybill must be complete, and the last one given counts.
func WithWaybills(w *Waybills) AgreeOption {
	return func(c *comparison) { c.goods.waybills = append(c.goods.waybills, w) }
}

// goods is what the comparison knows about shipping.
type goods struct {
	off, silent, discreet bool
	waybills              []*Waybills
	// touched are the sales orders whose fulfilment fields people wrote.
	touched map[int64]bool
	// mails is how many e-mails customers must have got.
	mails int
	steps map[int64]span // by account
}

// span is how many activities there must be. How many depends on what was seen at once: goods that are delivered before
// anybody has looked were never seen on their way.
type span struct{ least, most int }

// aim is what shipping must have come to.
type aim struct {
	// states are the words that are right. They are two where it matters which of two things came first.
	states []string
	// parcels are the fulfilments in HighLevel, loose the numbers that stand in Sage only.
	parcels []Parcel
	loose   []ghl.Tracking
	steps   span
}

func (g *goods) load(tenant *sage.Server) {
	g.touched, g.steps = map[int64]bool{}, map[int64]span{}
	for _, w := range tenant.Writes() {
		if w.ByPeople && w.Resource == "salesorders" && slices.Contains(w.Fields, "Z_FulfillmentStatus") {
			g.touched[w.ID] = true
		}
	}
}

// shipping compares the shipments of an order. What it must find in Sage it finds only if the order is there.
func (c *comparison) shipping(o ghl.Order) {
	if c.goods.off {
		return
	}
	have, in := c.shop.Fulfillments(o.ID), c.byExtID[o.ID]
	w, known := c.goods.of(o.ID)
	if !known {
		w = made(o.ID, have)
	}
	paid, refunded := cleared(o, c.shop.Payments(o.ID))
	a := c.aim(o, w, have, paid, refunded)
	if len(in) == 0 {
		a.parcels = w.Here // nobody may have posted anything
	}
	c.parcels(o.ID, a.parcels, have)
	if len(in) != 1 {
		return
	}
	c.report.Shipments += len(have)
	if !known {
		a.steps.least = 0
		if c.goods.touched[in[0].ID] {
			a.states = from(a.states[0])
		}
	}
	c.state(o.ID, in[0], a)
	c.references(o.ID, in[0], a, have)
	account := in[0].Int("accountId")
	sum := c.goods.steps[account]
	c.goods.steps[account] = span{sum.least + a.steps.least, sum.most + a.steps.most}
}

// of is the last waybill of the order that was given.
func (g *goods) of(orderID string) (w Waybill, known bool) {
	for _, all := range slices.Backward(g.waybills) {
		if w, known = all.Of(orderID); known {
			return w, true
		}
	}
	return Waybill{}, false
}

// made is a waybill out of what HighLevel has: what people made there, and what came from Sage.
func made(orderID string, have []ghl.Fulfillment) Waybill {
	w := Waybill{OrderID: orderID}
	for _, f := range have {
		if f.ByAPI {
			w.InSage = append(w.InSage, f.Trackings)
			continue
		}
		w.Here = append(w.Here, parcelOf(f))
	}
	return w
}

func parcelOf(f ghl.Fulfillment) Parcel {
	p := Parcel{Trackings: f.Trackings, Notify: f.Notified}
	for _, item := range f.Items {
		p.Lines = append(p.Lines, ghl.NewLine{PriceID: item.PriceID, Qty: item.Qty})
	}
	return p
}

// from lists a state and all that goods can come to from there.
func from(state string) []string {
	all := []string{created, processing, shipped, delivered, cancelled}
	return all[max(0, slices.Index(all, state)):]
}

// aim works out what must have come of an order.
func (c *comparison) aim(o ghl.Order, w Waybill, have []ghl.Fulfillment, paid, refunded domain.Money) aim {
	closing := w.Cancelled || refunded.Minor >= paid.Minor || o.Status == "cancelled" || o.Status == "canceled"
	whole := c.carried(o)
	left := maps.Clone(whole)
	for _, p := range w.Here {
		for _, l := range p.Lines {
			left[l.PriceID] -= l.Qty
		}
	}
	a := aim{parcels: slices.Clone(w.Here)}
	posted := slices.ContainsFunc(have, func(f ghl.Fulfillment) bool { return f.ByAPI })
	for _, trackings := range w.InSage {
		rest := lines(left)
		fresh := slices.DeleteFunc(slices.Clone(trackings), func(t ghl.Tracking) bool {
			return slices.ContainsFunc(a.parcels, func(p Parcel) bool { return p.has(t.Number) })
		})
		// Whether an order that has ended was sent before decides whether there is something to be made known.
		if len(rest) == 0 || len(fresh) == 0 || (closing && !posted) {
			a.loose = append(a.loose, fresh...)
			continue
		}
		a.parcels = append(a.parcels, Parcel{Lines: rest, Trackings: fresh, Notify: !c.goods.discreet})
		left = nil
	}
	state := reached(w, a, len(lines(left)) == 0)
	if len(lines(whole)) == 0 && paid.Minor >= o.Amount.Minor {
		state = delivered // there is nothing to send
	}
	switch {
	case !closing:
		a.states = []string{state}
	case state == delivered:
		a.states = []string{delivered, cancelled}
	default:
		a.states = []string{cancelled}
	}
	a.steps = stepsOf(w, a)
	return a
}

// reached is the state of the least advanced of the goods. A number that stands in Sage only is that of the parcels that
// have none in HighLevel, where nothing can be added to them.
func reached(w Waybill, a aim, complete bool) string {
	arrived, tracked := complete && len(a.parcels) > 0, true
	for _, p := range a.parcels {
		if len(p.Trackings) == 0 {
			tracked, p.Trackings = false, a.loose
		}
		arrived = arrived && p.all(w.Arrived)
	}
	switch {
	case w.Received || arrived:
		return delivered
	case len(w.InSage) > 0: // whoever says so in Sage means all of it
		return shipped
	case len(a.parcels) == 0:
		return created
	case !complete || !tracked:
		return processing
	}
	return shipped
}

// stepsOf is how many steps teams are told of: each parcel is sent and may arrive before others, the order ends once,
// and people in Sage speak of the whole order.
func stepsOf(w Waybill, a aim) span {
	n := span{least: len(a.parcels), most: 2 * len(w.InSage)}
	for _, p := range a.parcels {
		n.most += 2
		if len(p.Trackings) == 0 {
			n.most++
		}
	}
	if slices.Contains(a.states, delivered) || slices.Contains(a.states, cancelled) {
		n.least, n.most = 0, n.most+1
		// An order that came into Sage as one that has ended was never on its way.
		if w.Received || w.Cancelled || len(w.Arrived) > 0 {
			n.least = 1
		}
	}
	return n
}

// carried is how many pieces of each price there are to be carried.
func (c *comparison) carried(o ghl.Order) map[string]int64 {
	out := map[string]int64{}
	for _, item := range o.Items {
		digital := false
		c.shop.EditProduct(item.Price.ProductID, func(p *ghl.Product) { digital = isDigital(p.Type) })
		if !digital {
			out[item.Price.ID] += item.Qty
		}
	}
	return out
}

// lines are the pieces that are left, by price.
func lines(left map[string]int64) []ghl.NewLine {
	var out []ghl.NewLine
	for _, price := range slices.Sorted(maps.Keys(left)) {
		if left[price] > 0 {
			out = append(out, ghl.NewLine{PriceID: price, Qty: left[price]})
		}
	}
	return out
}

// parcels compares fulfilments: one for each parcel, and no other.
func (c *comparison) parcels(orderID string, want []Parcel, have []ghl.Fulfillment) {
	open := map[string]int{}
	for _, p := range want {
		open[label(p)]++
		if p.Notify {
			c.goods.mails++
		}
	}
	for _, f := range have {
		open[label(parcelOf(f))]--
		if f.ByAPI {
			c.report.Posted++
		}
	}
	for what, missing := range open {
		switch {
		case missing > 0:
			c.differ(orderID, "HighLevel lacks %d fulfilments of %s", missing, what)
		case missing < 0:
			c.differ(orderID, "HighLevel has %d fulfilments too many of %s", -missing, what)
		}
	}
}

// label is the same for parcels with the same things and numbers.
func label(p Parcel) string {
	pieces := map[string]int64{}
	for _, l := range p.Lines {
		pieces[l.PriceID] += l.Qty
	}
	var words []string
	for _, l := range lines(pieces) {
		words = append(words, strconv.FormatInt(l.Qty, 10)+" × "+l.PriceID)
	}
	return fmt.Sprintf("%s with trackings %v", strings.Join(words, ", "), numbers(p.Trackings))
}

func numbers(trackings []ghl.Tracking) []string {
	var out []string
	for _, t := range trackings {
		out = append(out, plain(t.Number))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// state compares the word and the dates, as far as the tenant has the fields.
func (c *comparison) state(orderID string, in sage.Order, a aim) {
	word, there := in.Fields["Z_FulfillmentStatus"]
	if !there {
		return
	}
	state, _ := word.(string)
	if !slices.Contains(a.states, state) {
		c.differ(orderID, "Z_FulfillmentStatus is %q instead of %s", state, strings.Join(a.states, " or "))
		return
	}
	if state == delivered {
		c.report.Delivered++
	}
	for field, must := range map[string]map[string]bool{
		"Z_ShippedDate":   {created: false, processing: false, shipped: true},
		"Z_DeliveredDate": {created: false, processing: false, shipped: false, delivered: true, cancelled: false},
	} {
		_, there := in.Fields[field]
		if want, says := must[state]; there && says && want == in.Time(field).IsZero() {
			c.differ(orderID, "is %s, but %s is %v", state, field, in.Fields[field])
		}
	}
}

// references compares the ids and the numbers: each once, and no others.
func (c *comparison) references(orderID string, in sage.Order, a aim, have []ghl.Fulfillment) {
	var ids []string
	trackings := slices.Clone(a.loose)
	for _, f := range have {
		ids = append(ids, f.ID)
		trackings = append(trackings, f.Trackings...)
	}
	slices.Sort(ids)
	for field, both := range map[string][2][]string{
		"Z_FulfillmentIds":  {ids, wordsOf(in.Text("Z_FulfillmentIds"))},
		"Z_TrackingNumbers": {numbers(trackings), numbersIn(in.Text("Z_TrackingNumbers"))},
	} {
		if _, there := in.Fields[field]; there && !slices.Equal(both[0], both[1]) {
			c.differ(orderID, "%s holds %v instead of %v", field, both[1], both[0])
		}
	}
}

var (
	aside   = regexp.MustCompile(`\([^)]*\)`)
	address = regexp.MustCompile(`https?://[^\s,;]*`)
	between = regexp.MustCompile(`[,;\n]+`)
)

// numbersIn takes numbers out of a text for people: without carriers, which are in parentheses, and without addresses.
func numbersIn(text string) []string {
	var out []string
	for _, part := range between.Split(address.ReplaceAllString(aside.ReplaceAllString(text, ""), ""), -1) {
		if number := plain(strings.TrimSpace(part)); number != "" {
			out = append(out, number)
		}
	}
	slices.Sort(out)
	return out
}

func wordsOf(text string) []string {
	out := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", ;\n", r) })
	slices.Sort(out)
	return out
}

// told compares what customers and teams were told: an e-mail for each fulfilment that asks for it, and an activity on the
// account for each step.
func (c *comparison) told() {
	if c.goods.off {
		return
	}
	if mails := c.shop.CustomerMails(); mails != c.goods.mails {
		c.say("customers got %d e-mails about shipments instead of %d", mails, c.goods.mails)
	}
	if c.goods.silent {
		return
	}
	entered, texts := map[int64]int{}, map[string]bool{}
	for _, a := range c.tenant.Live("activities") {
		if !c.byUs(a) {
			continue
		}
		account := a.Int("accountId")
		entered[account]++
		text := strconv.FormatInt(account, 10) + " " + a.Text("comment")
		if texts[text] {
			c.say("account %d: activity %d says what another one says already", account, a.ID)
		}
		texts[text] = true
		if _, known := c.goods.steps[account]; !known {
			c.say("account %d: activity %d belongs to no order", account, a.ID)
		}
	}
	for account, steps := range c.goods.steps {
		if n := entered[account]; n < steps.least || n > steps.most {
			c.say("account %d: there are %d activities; its orders went through %d to %d steps", account, n, steps.least, steps.most)
		}
	}
}
