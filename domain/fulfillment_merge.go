package domain

import (
	"cmp"
	"slices"
	"time"
)

// With is the lifecycle after the news: the one place where both sides meet. It also returns the shipment that is to be
// made known at HighLevel, nil if there is none, and the steps that teams are to be told of.
//
// It is a function of nothing but its arguments, defined for all of them, and changes none. The same news again change
// nothing and give no further steps; a plan is repeated until its shipment is listed, and not thereafter. Nothing runs
// backwards: states only rise, shipments and their trackings only become more, dates are set once. Only a tracking that
// people gave and that HighLevel does not know can be corrected by them.
//
// While a shipment is planned, what people or carriers say of the whole order is not listened to yet: first the shipment
// must stand, or the goods would be delivered without their parcel ever having been told to the customer. Nothing is
// lost by it, since the news are given again.
func (f Fulfillment) With(news FulfillmentNews, rules FulfillmentRules) (next Fulfillment, ship *ShipmentPlan, steps []FulfillmentStep) {
	news = news.clean()
	next = f.listed(news, rules).heard(news, rules)
	if f.Closed() {
		return next, nil, nil
	}
	closing, said := news.closing(), next.said(news, rules)
	if closing == "" {
		ship = next.plan(news, rules, said)
	}
	if ship != nil {
		said = saying{}
	}
	next = next.declared(said)
	derived := next.leastAdvanced(news.Items, rules)
	next.State = later(later(next.State, said.State), derived)
	if next.State != FulfillmentDelivered && closing != "" {
		next.State, next.Reason = FulfillmentCancelled, closing
	} else if next.State == FulfillmentDelivered {
		next.Reason = said.Reason
	}
	if !derived.before(said.State) {
		said.At = time.Time{} // the shipments know better
	}
	next = next.dated(said, news.Now)
	return next, ship, next.stepsSince(f, news.Now)
}

// clean brings trackings into one form and times into UTC.
func (n FulfillmentNews) clean() FulfillmentNews {
	n.Now = n.Now.UTC()
	n.Sage.Trackings = CleanTrackings(n.Sage.Trackings)
	n.Shipments = slices.Clone(n.Shipments)
	for i, s := range n.Shipments {
		n.Shipments[i].Trackings, n.Shipments[i].CreatedAt = CleanTrackings(s.Trackings), s.CreatedAt.UTC()
	}
	var deliveries []Delivery
	for _, d := range n.Deliveries {
		key := Tracking{Number: d.Tracking}.Key()
		if key == "" && d.Tracking != "" {
			continue // a number of nothing but hyphens is not the whole order
		}
		deliveries = append(deliveries, Delivery{Tracking: key, State: d.State, At: cmp.Or(d.At.UTC(), n.Now)})
	}
	n.Deliveries = deliveries
	return n
}

// closing is why the lifecycle is to end before its goods arrive; empty if it is not.
func (n FulfillmentNews) closing() string {
	if n.Closing == "" && n.Sage.State == FulfillmentCancelled {
		return ReasonCancelledInSage
	}
	return n.Closing
}

// delivery is the first news of that state about a parcel, or about the order where the tracking is empty.
func (n FulfillmentNews) delivery(tracking string, state FulfillmentState) (at time.Time, found bool) {
	for _, d := range n.Deliveries {
		if d.Tracking == tracking && d.State == state && (!found || d.At.Before(at)) {
			at, found = d.At, true
		}
	}
	return at, found
}

// delivered is when the last of the parcels arrived, and false while one is under way or when there is none. Addresses
// without a number are not parcels of their own.
func (n FulfillmentNews) delivered(parcels []Tracking) (last time.Time, all bool) {
	for _, t := range parcels {
		if t.Number == "" {
			continue
		}
		at, found := n.delivery(t.Key(), FulfillmentDelivered)
		if !found {
			return time.Time{}, false
		}
		last, all = latest(last, at), true
	}
	return last, all
}

// shipped is when the first of the parcels left, and false when nobody said so.
func (n FulfillmentNews) shipped(parcels []Tracking) (first time.Time, found bool) {
	for _, t := range parcels {
		if at, said := n.delivery(t.Key(), FulfillmentShipped); said && (!found || at.Before(first)) {
			first, found = at, true
		}
	}
	return first, found
}

// listed is the lifecycle with the shipments as HighLevel lists them and the trackings as people gave them. A shipment
// that is not listed any more stays: HighLevel removes none, so the list is late.
func (f Fulfillment) listed(news FulfillmentNews, rules FulfillmentRules) Fulfillment {
	f.State = cmp.Or(f.State, FulfillmentCreated)
	f.Shipments = slices.Clone(f.Shipments)
	for _, s := range news.Shipments {
		i := slices.IndexFunc(f.Shipments, func(known Shipment) bool { return known.ID == s.ID })
		switch {
		case s.ID == "":
		case i < 0:
			f.Shipments = append(f.Shipments, f.found(s, rules, news.Now))
		default:
			f.Shipments[i] = f.Shipments[i].relisted(s, rules, news.Now)
		}
	}
	slices.SortStableFunc(f.Shipments, byCreation)
	f.Loose = withoutTrackings(f.typed(news.Sage), f.shippedTrackings())
	return f
}

// typed are the trackings that people gave at Sage. Nobody else knows those of no shipment, so whoever corrects one before
// it was told to the customer is right about it. An empty field says nothing: forms empty what they do not know.
func (f Fulfillment) typed(wish FulfillmentWish) []Tracking {
	if len(wish.Trackings) == 0 {
		return f.Loose
	}
	return wish.Trackings
}

// found is a shipment that was not known before. One that was made before all was delivered was delivered with it.
func (f Fulfillment) found(s Shipment, rules FulfillmentRules, now time.Time) Shipment {
	made := Shipment{ID: s.ID, CreatedAt: s.CreatedAt}
	made = made.relisted(s, rules, cmp.Or(s.CreatedAt, now))
	if f.State == FulfillmentDelivered && !s.CreatedAt.After(f.DeliveredAt) {
		made = made.moved(FulfillmentDelivered, f.DeliveredAt)
	}
	return made
}

// relisted is a shipment after HighLevel listed it again. A tracking means that it has left.
func (s Shipment) relisted(listed Shipment, rules FulfillmentRules, at time.Time) Shipment {
	s.Trackings = joinTrackings(s.Trackings, listed.Trackings)
	if len(listed.Items) > 0 {
		s.Items = slices.Clone(listed.Items)
	}
	if len(s.Trackings) > 0 || rules.WithoutTracking == FulfillmentShipped {
		return s.moved(FulfillmentShipped, at)
	}
	return s.moved(FulfillmentProcessing, at)
}

// moved is the shipment in the state, unless it has come as far already.
func (s Shipment) moved(state FulfillmentState, at time.Time) Shipment {
	if !s.State.before(state) {
		return s
	}
	s.State = state
	switch state {
	case FulfillmentShipped:
		s.ShippedAt = at
	case FulfillmentDelivered:
		s.DeliveredAt = at
	}
	return s
}

// heard is the lifecycle after what carriers said of parcels. A shipment has arrived when all of its parcels have: the end
// of a lifecycle cannot be taken back.
func (f Fulfillment) heard(news FulfillmentNews, rules FulfillmentRules) Fulfillment {
	for i, s := range f.Shipments {
		parcels := f.parcels(s, news.Items, rules)
		if at, found := news.shipped(parcels); found {
			s = s.moved(FulfillmentShipped, at)
		}
		if at, all := news.delivered(parcels); all {
			s = s.moved(FulfillmentDelivered, at)
		}
		f.Shipments[i] = s
	}
	return f
}

// parcels are those of a shipment. HighLevel's fulfilments cannot be given a tracking later, so people write it down at
// Sage: what is loose belongs to the shipments that have none, unless goods remain that it may belong to.
func (f Fulfillment) parcels(s Shipment, items []Item, rules FulfillmentRules) []Tracking {
	if len(s.Trackings) == 0 && f.covers(items, rules) {
		return f.Loose
	}
	return s.Trackings
}

// plan is the shipment that people declared at Sage and that HighLevel does not know: all that remains, with the trackings
// that are of no shipment there. They may set the state first and the number later, or the number first; and that the
// goods have left may have been said elsewhere.
func (f Fulfillment) plan(news FulfillmentNews, rules FulfillmentRules, said saying) *ShipmentPlan {
	wish := news.Sage
	if wish.State == "" && len(wish.Trackings) == 0 || later(f.State, said.State).before(FulfillmentShipped) {
		return nil
	}
	items := f.remaining(news.Items, rules)
	trackings := withoutTrackings(wish.Trackings, f.shippedTrackings())
	if len(wish.Trackings) == 0 {
		trackings = f.Loose
	}
	untracked := rules.PostWithoutTracking && !wish.State.before(FulfillmentShipped)
	if len(items) == 0 || len(trackings) == 0 && !untracked {
		return nil
	}
	return &ShipmentPlan{Items: items, Trackings: slices.Clone(trackings)}
}

// saying is what is said of the whole order.
type saying struct {
	State  FulfillmentState
	At     time.Time
	Reason string
}

func (s saying) or(state FulfillmentState, at time.Time) saying {
	if s.State.before(state) {
		return saying{State: state, At: at}
	}
	return s
}

// said is the furthest of what people and carriers say of the whole order, and of what the rules say of one that is not
// sent at all. People's word stands, also where HighLevel knows of no shipment.
func (f Fulfillment) said(news FulfillmentNews, rules FulfillmentRules) saying {
	var s saying
	for _, state := range []FulfillmentState{FulfillmentShipped, FulfillmentDelivered} {
		if at, found := news.delivery("", state); found {
			s = s.or(state, at)
		}
	}
	s = s.or(news.Sage.State, news.Now)
	if at, all := news.delivered(f.Loose); all && len(f.Shipments) == 0 && !later(f.State, s.State).before(FulfillmentShipped) {
		s = s.or(FulfillmentDelivered, at) // declared as shipped, and every parcel has arrived
	}
	if news.closing() == "" && news.Paid && nothingToShip(news.Items, rules) && s.State != FulfillmentDelivered {
		s = saying{State: FulfillmentDelivered, At: news.Now, Reason: ReasonNothingToShip}
	}
	return s
}

// declared is the lifecycle after something was said of all its shipments.
func (f Fulfillment) declared(said saying) Fulfillment {
	for i, s := range f.Shipments {
		f.Shipments[i] = s.moved(said.State, said.At)
	}
	return f
}

// leastAdvanced is the state that follows from the shipments: that of the slowest, and no more than processing while goods
// remain.
func (f Fulfillment) leastAdvanced(items []Item, rules FulfillmentRules) FulfillmentState {
	if len(f.Shipments) == 0 {
		return FulfillmentCreated
	}
	least := FulfillmentDelivered
	if !f.covers(items, rules) {
		least = FulfillmentProcessing
	}
	for _, s := range f.Shipments {
		if s.State.before(least) {
			least = s.State
		}
	}
	return least
}

// dated sets the dates of the order, each once: when the last goods left, and when the last arrived. Of goods that nobody
// saw leaving no date is invented.
func (f Fulfillment) dated(said saying, now time.Time) Fulfillment {
	var left, arrived time.Time
	for _, s := range f.Shipments {
		left, arrived = latest(left, s.ShippedAt), latest(arrived, s.DeliveredAt)
	}
	switch said.State {
	case FulfillmentShipped:
		left = latest(left, said.At)
	case FulfillmentDelivered:
		arrived = latest(arrived, said.At)
	}
	if f.State == FulfillmentShipped {
		f.ShippedAt = cmp.Or(f.ShippedAt, left, now)
	}
	if f.State == FulfillmentDelivered {
		f.ShippedAt, f.DeliveredAt = cmp.Or(f.ShippedAt, left), cmp.Or(f.DeliveredAt, arrived, now)
	}
	return f
}

// stepsSince are the steps from an earlier version to this one: those of single shipments, unless all has arrived, and that
// of the whole order where no shipment tells it.
func (f Fulfillment) stepsSince(earlier Fulfillment, now time.Time) []FulfillmentStep {
	var steps []FulfillmentStep
	for _, s := range f.Shipments {
		if s.State != earlier.stateOf(s.ID) && f.State != FulfillmentDelivered {
			steps = append(steps, FulfillmentStep{
				Key: string(s.State) + "/" + s.ID, State: s.State, ShipmentID: s.ID, At: s.since(now),
			})
		}
	}
	risen := cmp.Or(earlier.State, FulfillmentCreated) != f.State
	if risen && (f.Closed() || len(steps) == 0) {
		steps = append(steps, FulfillmentStep{Key: string(f.State), State: f.State, At: f.since(now)})
	}
	return steps
}

func (f Fulfillment) stateOf(shipmentID string) FulfillmentState {
	for _, s := range f.Shipments {
		if s.ID == shipmentID {
			return s.State
		}
	}
	return ""
}

func (s Shipment) since(now time.Time) time.Time {
	return Fulfillment{State: s.State, ShippedAt: s.ShippedAt, DeliveredAt: s.DeliveredAt}.since(now)
}

func (f Fulfillment) since(now time.Time) time.Time {
	switch f.State {
	case FulfillmentShipped:
		return cmp.Or(f.ShippedAt, now)
	case FulfillmentDelivered:
		return cmp.Or(f.DeliveredAt, now)
	}
	return now
}

func later(a, b FulfillmentState) FulfillmentState {
	if a.before(b) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
