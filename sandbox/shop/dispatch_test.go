package shop_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/sandbox/ghl"
	"github.com/tallystick/tallystick/sandbox/sage"
	"github.com/tallystick/tallystick/sandbox/shop"
)

// patience is how long goods may be under way on a busy machine.
const patience = time.Minute

const secret = "shared with the carriers"

var words = []string{"created", "processing", "shipped", "delivered", "cancelled"}

// clerk keeps both sides true by hand, over their APIs and without any of the product's code: read everything, decide,
// write.
type clerk struct {
	*office
	door *httptest.Server

	mu      sync.Mutex
	arrived map[string]bool // orders and numbers
	reached map[string]int  // the furthest state of each order
	told    map[string]bool
}

func employ(t *testing.T, seed int64, orders int) *clerk {
	t.Helper()
	c := &clerk{office: run(t, seed, orders), arrived: map[string]bool{}, reached: map[string]int{}, told: map[string]bool{}}
	require.NoError(t, c.ghl.Start())
	c.bookAll()
	for _, in := range c.sage.Orders() {
		c.reached[strings.TrimPrefix(in.Text("extId"), "ghl:order:")] = slices.Index(words, in.Text("Z_FulfillmentStatus"))
	}
	busy := true
	c.door = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var d shop.Delivery
		stamp, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get(shop.SignatureHeader), "t="), ",")
		seconds, _ := json.Number(stamp).Int64()
		switch {
		case r.URL.Path != "/webhooks/delivery" || json.Unmarshal(body, &d) != nil ||
			r.Header.Get(shop.SignatureHeader) != shop.Sign(secret, time.Unix(seconds, 0), body):
			w.WriteHeader(http.StatusUnauthorized)
		case c.hears(&busy):
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			c.mu.Lock()
			defer c.mu.Unlock()
			c.arrived[cmp.Or(d.Order, spelt(d.Tracking))] = true
		}
	}))
	t.Cleanup(c.door.Close)
	return c
}

// hears is busy for the first time.
func (c *clerk) hears(busy *bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := *busy
	*busy = false
	return was
}

func spelt(number string) string { return strings.ToUpper(strings.ReplaceAll(number, "-", "")) }

func (o *office) digital(order ghl.Order) bool {
	for _, item := range order.Items {
		if !strings.HasPrefix(item.Name, "Course") {
			return false
		}
	}
	return true
}

// ships sets the state and the dates that go with it.
func (o *office) ships(id int64, state string) {
	fields := map[string]any{"Z_FulfillmentStatus": state}
	switch state {
	case "shipped":
		fields["Z_ShippedDate"] = "2026-11-22 11:00:00"
	case "delivered":
		fields["Z_DeliveredDate"] = "2026-11-22 12:00:00"
	}
	var none struct{}
	o.call("PUT", fmt.Sprintf("/salesorders/%d", id), fields, &none)
}

// enter makes an activity on an account.
func (o *office) enter(account int64, text string) {
	o.create("/activities", map[string]any{"accountId": account, "typeId": o.sage.Find("activityTypes", "Standard"),
		"salesRepId": 51, "date": "2026-11-22 12:00:00", "comment": text})
}

func (c *clerk) all() {
	for _, old := range c.sage.Orders() {
		c.one(c.sage.OrdersByExtID(old.Text("extId"))[0])
	}
}

// one looks after one order.
func (c *clerk) one(in sage.Order) {
	c.t.Helper()
	id := strings.TrimPrefix(in.Text("extId"), "ghl:order:")
	order, _ := c.ghl.Order(id)
	left := map[string]int64{}
	for _, item := range order.Items {
		if !strings.HasPrefix(item.Name, "Course") {
			left[item.Price.ID] += item.Qty
		}
	}
	have := c.ghl.Fulfillments(id)
	numbers, ids, waiting := map[string]bool{}, []string{}, false
	c.mu.Lock()
	tracked, there := true, len(have) > 0
	for _, f := range have {
		here := true
		for _, item := range f.Items {
			left[item.PriceID] -= item.Qty
		}
		for _, t := range f.Trackings {
			numbers[t.Number] = true
			here = here && c.arrived[t.Number]
		}
		ids, tracked, there = append(ids, f.ID), tracked && len(f.Trackings) > 0, there && here
	}
	received := c.arrived[id]
	c.mu.Unlock()
	// What HighLevel has no number for came when the numbers in Sage did.
	complete := !slices.ContainsFunc(slices.Collect(maps.Values(left)), func(n int64) bool { return n > 0 })
	var fresh []string
	for part := range strings.SplitSeq(in.Text("Z_TrackingNumbers"), ",") {
		if number, _, _ := strings.Cut(strings.TrimSpace(part), " "); number != "" && !numbers[number] {
			fresh = append(fresh, number)
			numbers[number] = true
		}
	}
	asked := slices.Index(words, in.Text("Z_FulfillmentStatus"))
	before := c.reached[id]
	if asked >= 2 && asked < 4 && before < 3 && len(fresh) > 0 && !complete {
		c.post(id, left, fresh)
		waiting = true // the next look sees it
	}
	state := before
	if before < 3 {
		switch {
		case asked == 4:
			state = 4
		case received, there && complete && (tracked || c.came(fresh)), asked == 3:
			state = 3
		case asked == 2, len(have) > 0 && complete && tracked:
			state = max(before, 2)
		case len(have) > 0:
			state = max(before, 1)
		}
	}
	if waiting {
		return
	}
	c.reached[id] = state
	if words[state] != in.Text("Z_FulfillmentStatus") || state > before {
		c.ships(in.ID, words[state])
	}
	// What is there already is not written: somebody may have changed it meanwhile.
	for field, value := range map[string]string{"Z_FulfillmentIds": strings.Join(ids, ", "),
		"Z_TrackingNumbers": strings.Join(slices.Sorted(maps.Keys(numbers)), ", ")} {
		if in.Text(field) != value {
			var none struct{}
			c.call("PUT", fmt.Sprintf("/salesorders/%d", in.ID), map[string]any{field: value}, &none)
		}
	}
	steps := []string{}
	if state > 2 && state != 4 || asked == 4 && before < 3 {
		steps = append(steps, words[state])
	} else if state < 3 {
		for _, f := range ids {
			steps = append(steps, "on its way "+f)
		}
	}
	for _, step := range steps {
		if text := id + " " + step; !c.told[text] && !(c.digital(order)) {
			c.told[text] = true
			c.enter(in.Int("accountId"), text)
		}
	}
}

// came tells whether all of these have arrived.
func (c *clerk) came(numbers []string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(numbers) > 0 && !slices.ContainsFunc(numbers, func(n string) bool { return !c.arrived[n] })
}

// post makes a fulfilment as an app does.
func (c *clerk) post(id string, left map[string]int64, numbers []string) {
	c.t.Helper()
	items, trackings := []any{}, []any{}
	for price, n := range left {
		if n > 0 {
			items = append(items, map[string]any{"priceId": price, "qty": n})
		}
	}
	for _, n := range numbers {
		trackings = append(trackings, map[string]any{"trackingNumber": n, "shippingCarrier": "", "trackingUrl": ""})
	}
	raw, err := json.Marshal(map[string]any{"altId": c.ghl.Location(), "altType": "location", "items": items,
		"trackings": trackings, "notifyCustomer": true})
	require.NoError(c.t, err)
	request, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost,
		c.ghl.URL()+"/payments/orders/"+id+"/fulfillments", bytes.NewReader(raw))
	require.NoError(c.t, err)
	request.Header.Set("Authorization", "Bearer "+c.ghl.Token())
	request.Header.Set("Version", "2021-07-28")
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	require.NoError(c.t, err)
	answer, _ := io.ReadAll(response.Body)
	require.NoError(c.t, response.Body.Close())
	require.Equal(c.t, http.StatusOK, response.StatusCode, string(answer))
}

// dispatched lets all goods go their ways with the clerk at work.
func dispatched(t *testing.T, c *clerk, carrier *shop.Carrier) map[shop.Deed]int {
	t.Helper()
	deeds := map[shop.Deed]int{}
	d := c.shop.Dispatch(c.sage, shop.DispatchOptions{Carrier: carrier, Every: time.Millisecond,
		Observe: func(a shop.Act) { deeds[a.Deed]++ }})
	require.Positive(t, d.Open())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	for {
		select {
		case err := <-ended:
			require.NoError(t, err)
			require.Zero(t, d.Open())
			c.all()
			c.all()
			return deeds
		default:
			c.all()
		}
	}
}

func TestFatesLeaveWhatIsBoughtAlone(t *testing.T) {
	data := shop.Generate(1, 60)
	require.Len(t, data.Fates, 60)
	placed := 0
	for _, a := range data.Actions {
		if a.Kind == shop.Place {
			require.Equal(t, a.OrderID, data.Fates[placed].OrderID)
			placed++
		}
	}
	deeds := map[shop.Deed]int{}
	for _, fate := range shop.Generate(1, 1000).Fates {
		for _, a := range fate.Acts {
			require.Equal(t, fate.OrderID, a.OrderID)
			deeds[a.Deed]++
		}
	}
	for _, deed := range []shop.Deed{shop.ShipHere, shop.ShipInSage, shop.HandOver, shop.ReceiveByCall, shop.ReceiveInSage,
		shop.CancelInSage, shop.SetBack} {
		require.Positive(t, deeds[deed], deed)
	}
}

func TestAllGoodsGoTheirWays(t *testing.T) {
	c := employ(t, 5, 120)
	deeds := dispatched(t, c, &shop.Carrier{FrontDoor: c.door.URL, Secret: secret})
	require.Len(t, deeds, 7, "everything happens: %v", deeds)
	report := c.shop.Agree(c.sage)
	require.True(t, report.OK(), report.String())
	require.Positive(t, report.Posted)
	require.Greater(t, report.Shipments, report.Posted)
	require.Positive(t, report.Delivered)
}

func TestWithoutCarriersEverythingArrivesInSage(t *testing.T) {
	c := employ(t, 6, 60)
	require.Zero(t, dispatched(t, c, nil)[shop.ReceiveByCall])
	report := c.shop.Agree(c.sage)
	require.True(t, report.OK(), report.String())
}

func TestAWrongSecretEndsTheDispatch(t *testing.T) {
	c := employ(t, 5, 60)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d := c.shop.Dispatch(c.sage, shop.DispatchOptions{Carrier: &shop.Carrier{FrontDoor: c.door.URL, Secret: "another"}, Every: time.Millisecond})
	require.ErrorContains(t, d.Run(ctx), "DELIVERY_WEBHOOK_SECRET")
}

func TestADispatchThatIsEndedSaysWhatItWaitsFor(t *testing.T) {
	c := employ(t, 5, 60)
	ctx, cancel := context.WithCancel(t.Context())
	d := c.shop.Dispatch(c.sage, shop.DispatchOptions{Observe: func(shop.Act) { cancel() }})
	require.ErrorContains(t, d.Run(ctx), "orders are still to be sent or delivered: order ")
}

func TestEachDifferenceOfShippingIsFound(t *testing.T) {
	c := employ(t, 5, 120)
	dispatched(t, c, &shop.Carrier{FrontDoor: c.door.URL, Secret: secret})
	agree := func() string { return c.shop.Agree(c.sage).String() }
	require.Contains(t, agree(), "to the cent")
	pick := func(state string) (sage.Order, string) {
		t.Helper()
		for _, o := range c.sage.Orders() {
			id := strings.TrimPrefix(o.Text("extId"), "ghl:order:")
			if o.Text("Z_FulfillmentStatus") == state && len(c.ghl.Fulfillments(id)) > 0 {
				return o, id
			}
		}
		t.Fatal("no order is " + state)
		return sage.Order{}, ""
	}
	arrived, arrivedID := pick("delivered")
	var none struct{}
	for name, field := range map[string]string{"Z_FulfillmentStatus is": "Z_FulfillmentStatus", "Z_FulfillmentIds holds": "Z_FulfillmentIds",
		"Z_TrackingNumbers holds": "Z_TrackingNumbers", "but Z_DeliveredDate is": "Z_DeliveredDate"} {
		path := fmt.Sprintf("/salesorders/%d", arrived.ID)
		c.call("PUT", path, map[string]any{field: nil}, &none)
		require.Contains(t, agree(), name)
		value := arrived.Fields[field]
		if at, is := value.(time.Time); is {
			value = at.Format(time.DateTime)
		}
		c.call("PUT", path, map[string]any{field: value}, &none)
		require.Contains(t, agree(), "to the cent", name)
	}

	c.enter(arrived.Int("accountId"), arrivedID+" delivered")
	require.Contains(t, agree(), "says what another one says already")
	for _, a := range c.sage.Live("activities") {
		if a.Int("accountId") == arrived.Int("accountId") {
			c.call("DELETE", fmt.Sprintf("/activities/%d", a.ID), nil, &none)
		}
	}
	require.Regexp(t, `there are \d+ activities; its orders went through`, agree())

	c.post(arrivedID, map[string]int64{c.ghl.Fulfillments(arrivedID)[0].Items[0].PriceID: 1}, []string{"TWICE1"})
	require.Contains(t, agree(), "HighLevel has 1 fulfilments too many")
	require.Regexp(t, `customers got \d+ e-mails`, agree())
	require.Contains(t, shop.Agree(c.ghl, c.sage).String(), "differences", "people's fulfilments are known without waybills too")
	require.NotContains(t, c.shop.Agree(c.sage, shop.WithoutShipping()).String(), "fulfilment")
}
