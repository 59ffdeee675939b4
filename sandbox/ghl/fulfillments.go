package ghl

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tallystick/tallystick/domain"
)

// Fulfillment is one shipment of an order. HighLevel keeps neither a state nor a date of delivery with it, and nobody
// can change or remove one.
type Fulfillment struct {
	ID, LocationID, OrderID string
	Trackings               []Tracking
	Items                   []FulfilledItem
	// Notified tells that the customer was written to.
	Notified bool
	// ByAPI tells that an app made it, not a person in HighLevel.
	ByAPI                bool
	CreatedAt, UpdatedAt time.Time
}

// Tracking is what a carrier gave for a parcel, in HighLevel's names. All of it may be missing.
type Tracking struct {
	Number  string `json:"trackingNumber,omitempty"`
	Carrier string `json:"shippingCarrier,omitempty"`
	URL     string `json:"trackingUrl,omitempty"`
}

// FulfilledItem is how many pieces of a price were sent.
type FulfilledItem struct {
	PriceID, Name string
	Qty           int64
}

// NewFulfillment is a shipment to be made by a person. Everything may be left out.
type NewFulfillment struct {
	ID        string
	Trackings []Tracking
	// Items are all that is still to be sent where there are none.
	Items []NewLine
	// Notify writes to the customer.
	Notify bool
	// At is now where it is zero.
	At time.Time
}

// FulfillmentWords are what an order's fulfillmentStatus is called once something was sent.
type FulfillmentWords struct{ Partial, Full string }

// maxBody bounds the JSON body of a request.
const maxBody = 1 << 20

func (s *Server) fulfillmentRoutes() {
	const path = "/payments/orders/{orderId}/fulfillments"
	s.handle(operation{method: http.MethodGet, path: path, name: "ghl.fulfillments.list",
		scope: "payments/orders.readonly", query: []string{"altId*", "altType*"}}, s.listFulfillments)
	s.handle(operation{method: http.MethodPost, path: path, name: "ghl.fulfillments.create",
		scope: "payments/orders.write"}, s.createFulfillment)
}

func (s *Server) listFulfillments(c call) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o := s.orders.byID[c.r.PathValue("orderId")]
	if o == nil || o.LocationID != c.loc.id {
		answerError(c.w, http.StatusBadRequest, "Order not found", "")
		return
	}
	rows := []any{} // all of them: the list has no pages
	for _, f := range s.fulfilled[o.ID] {
		rows = append(rows, s.fulfillmentDocument(f))
	}
	answerJSON(c.w, map[string]any{"status": true, "data": rows})
}

func (s *Server) createFulfillment(c call) {
	in, ok := s.fulfillmentBody(c)
	if !ok {
		return
	}
	s.mu.Lock()
	o := s.orders.byID[c.r.PathValue("orderId")]
	if o == nil || o.LocationID != c.loc.id {
		s.mu.Unlock()
		answerError(c.w, http.StatusBadRequest, "Order not found", "")
		return
	}
	f, err := s.ship(o, in)
	if err != nil {
		s.mu.Unlock()
		answerError(c.w, http.StatusUnprocessableEntity, []string{err.Error()}, "Unprocessable Entity")
		return
	}
	f.ByAPI = true
	doc := s.fulfillmentDocument(f)
	s.mu.Unlock()
	s.shipped(o.ID)
	answerJSON(c.w, map[string]any{"status": true, "data": doc})
}

// fulfillmentBody reads and checks a body as the OpenAPI file has it.
func (s *Server) fulfillmentBody(c call) (NewFulfillment, bool) {
	fields, wrong := readBody(c, "altId", "altType", "trackings", "items", "notifyCustomer")
	if s.opts.LaxQuery {
		wrong = slices.DeleteFunc(wrong, func(w string) bool { return strings.HasSuffix(w, "should not exist") })
	}
	var altID, altType string
	var items []struct {
		PriceID string
		Qty     json.RawMessage // a quoted number is none
	}
	in := NewFulfillment{}
	for _, field := range []struct {
		name, kind string
		into       any
	}{{"altId", "a string", &altID}, {"altType", "a string", &altType}, {"trackings", "an array", &in.Trackings},
		{"items", "an array", &items}, {"notifyCustomer", "a boolean value", &in.Notify}} {
		if raw := fields[field.name]; raw == nil || string(raw) == "null" {
			wrong = append(wrong, field.name+" should not be empty")
		} else if json.Unmarshal(raw, field.into) != nil {
			wrong = append(wrong, field.name+" must be "+field.kind)
		}
	}
	if altType != "" && altType != "location" {
		wrong = append(wrong, "altType must be one of the following values: location")
	}
	if len(wrong) == 0 && len(items) == 0 {
		wrong = append(wrong, "items should not be empty")
	}
	for _, item := range items {
		qty, err := strconv.ParseInt(string(item.Qty), 10, 64)
		if err != nil || qty < 1 || item.PriceID == "" {
			wrong = append(wrong, "each item must have a priceId and a qty of at least 1")
			continue
		}
		in.Items = append(in.Items, NewLine{PriceID: item.PriceID, Qty: qty})
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		answerError(c.w, http.StatusUnprocessableEntity, slices.Compact(wrong), "Unprocessable Entity")
		return in, false
	}
	if altID != c.loc.id {
		answerError(c.w, http.StatusForbidden, "The token does not have access to this location.", "")
		return in, false
	}
	return in, true
}

// readBody reads a JSON object and names the fields that the operation doesn't publish.
func readBody(c call, known ...string) (fields map[string]json.RawMessage, wrong []string) {
	if err := json.NewDecoder(http.MaxBytesReader(c.w, c.r.Body, maxBody)).Decode(&fields); err != nil {
		return nil, []string{"the body must be a JSON object"}
	}
	for name := range fields {
		if !slices.Contains(known, name) {
			wrong = append(wrong, "property "+name+" should not exist")
		}
	}
	return fields, wrong
}

// Fulfil records a shipment as a person does it in HighLevel. More than the order has is refused; what an app posts is
// not, unless Options say so.
func (s *Server) Fulfil(orderID string, in NewFulfillment) (Fulfillment, error) {
	s.mu.Lock()
	o := s.orders.byID[orderID]
	if o == nil {
		s.mu.Unlock()
		return Fulfillment{}, fmt.Errorf("%w: order %s", ErrUnknown, orderID)
	}
	left := s.unsent(o)
	if len(in.Items) == 0 {
		for _, item := range o.Items {
			if n := left[item.Price.ID]; n > 0 { // two lines of one price are one item
				in.Items = append(in.Items, NewLine{PriceID: item.Price.ID, Qty: n})
				left[item.Price.ID] = 0
			}
		}
		left = s.unsent(o)
	}
	if len(in.Items) == 0 || tooMany(left, in.Items) {
		s.mu.Unlock()
		return Fulfillment{}, fmt.Errorf("ghl sandbox: order %s has not so much left to be sent", orderID)
	}
	f, err := s.ship(o, in)
	if err != nil {
		s.mu.Unlock()
		return Fulfillment{}, fmt.Errorf("ghl sandbox: order %s: %w", orderID, err)
	}
	made := f.copy()
	s.mu.Unlock()
	s.shipped(orderID)
	return made, nil
}

// ship books a fulfillment and counts the mail to the customer. Each call makes one more, even of goods that were sent
// already (A101): HighLevel knows no key that would tell a repetition.
func (s *Server) ship(o *Order, in NewFulfillment) (*Fulfillment, error) {
	f := &Fulfillment{ID: in.ID, LocationID: o.LocationID, OrderID: o.ID, Trackings: slices.Clone(in.Trackings),
		Notified: in.Notify, CreatedAt: in.At}
	for _, line := range in.Items {
		at := slices.IndexFunc(o.Items, func(i Item) bool { return i.Price.ID == line.PriceID })
		if at < 0 || line.Qty < 1 {
			return nil, fmt.Errorf("item %s is not part of the order", line.PriceID)
		}
		f.Items = append(f.Items, FulfilledItem{PriceID: line.PriceID, Name: o.Items[at].Name, Qty: line.Qty})
	}
	if s.opts.RefuseOverfulfillment && tooMany(s.unsent(o), in.Items) {
		return nil, fmt.Errorf("quantity exceeds what is left to be fulfilled")
	}
	if f.ID == "" {
		f.ID = s.newID("fulfillment")
	}
	if f.CreatedAt.IsZero() {
		f.CreatedAt = s.now()
	}
	f.UpdatedAt = f.CreatedAt
	s.fulfilled[o.ID] = append(s.fulfilled[o.ID], f)
	if in.Notify {
		s.mails++
	}
	words := s.opts.FulfillmentWords
	o.FulfillmentStatus = words.Full
	for _, n := range s.unsent(o) {
		if n > 0 {
			o.FulfillmentStatus = words.Partial
		}
	}
	if !s.opts.FulfillmentKeepsUpdatedAt {
		o.UpdatedAt = later(o.UpdatedAt, f.CreatedAt)
	}
	return f, nil
}

// shipped tells the webhooks, which HighLevel is not known to do (A102).
func (s *Server) shipped(orderID string) {
	if s.opts.FulfillmentWebhook {
		s.send("OrderStatusUpdate", orderID)
	}
}

// unsent is how many pieces of each price no fulfillment has yet; negative where more were sent than sold.
func (s *Server) unsent(o *Order) map[string]int64 {
	left := map[string]int64{}
	for _, item := range o.Items {
		left[item.Price.ID] += item.Qty
	}
	for _, f := range s.fulfilled[o.ID] {
		for _, item := range f.Items {
			left[item.PriceID] -= item.Qty
		}
	}
	return left
}

func tooMany(left map[string]int64, lines []NewLine) bool {
	for _, line := range lines {
		if left[line.PriceID] -= line.Qty; left[line.PriceID] < 0 {
			return true
		}
	}
	return false
}

// fulfillmentDocument is a fulfillment in its published shape. Its items have the whole product and price, and the
// price's id as their own (A103).
func (s *Server) fulfillmentDocument(f *Fulfillment) map[string]any {
	o := s.orders.byID[f.OrderID]
	items := make([]any, len(f.Items))
	for i, item := range f.Items {
		line := s.lineOf(o, item)
		items[i] = map[string]any{"_id": item.PriceID, "name": item.Name, "qty": item.Qty,
			"product": s.productOf(o, line).document(), "price": s.priceDocument(&line.Price, o.LocationID)}
	}
	trackings := f.Trackings
	if trackings == nil {
		trackings = []Tracking{}
	}
	return map[string]any{"_id": f.ID, "altId": f.LocationID, "altType": "location", "trackings": trackings,
		"items": items, "createdAt": stamp(f.CreatedAt), "updatedAt": stamp(f.UpdatedAt)}
}

// lineOf is the order's line that was sent, or what was known of it if somebody has edited it away.
func (s *Server) lineOf(o *Order, sent FulfilledItem) Item {
	for _, line := range o.Items {
		if line.Price.ID == sent.PriceID {
			return line
		}
	}
	line := Item{Name: sent.Name, Qty: sent.Qty, Price: Price{ID: sent.PriceID, Name: sent.Name, Amount: zero(domain.Money{}, o.Currency)}}
	if price := s.prices.byID[sent.PriceID]; price != nil {
		line.Price = *price
	}
	return line
}

func (f *Fulfillment) copy() Fulfillment {
	out := *f
	out.Trackings, out.Items = slices.Clone(f.Trackings), slices.Clone(f.Items)
	return out
}

// Fulfillments gives the shipments of an order, oldest first.
func (s *Server) Fulfillments(orderID string) []Fulfillment {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.shipmentsOf(orderID)
}

// AllFulfillments gives the shipments of all orders, order by order as these were placed.
func (s *Server) AllFulfillments() []Fulfillment {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Fulfillment
	for _, e := range s.orders.sorted {
		out = append(out, s.shipmentsOf(e.value.ID)...)
	}
	return out
}

func (s *Server) shipmentsOf(orderID string) []Fulfillment {
	var out []Fulfillment
	for _, f := range s.fulfilled[orderID] {
		out = append(out, f.copy())
	}
	return out
}

// CustomerMails is how many e-mails about shipments customers have got: one for each fulfillment that asked for it.
func (s *Server) CustomerMails() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mails
}

// Cancel cancels an order as a person does it, and sends OrderStatusUpdate. HighLevel publishes no word for it;
// "cancelled" is what its help pages say.
func (s *Server) Cancel(orderID string) error { return s.SetOrderStatus(orderID, "cancelled") }
