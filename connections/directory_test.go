package connections

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/clients/ghl"
	"github.com/tallystick/tallystick/clients/sage"
	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
	ghlbox "github.com/tallystick/tallystick/sandbox/ghl"
	sagebox "github.com/tallystick/tallystick/sandbox/sage"
)

// ofEnvironment is a process whose environment names a location.
func ofEnvironment(b *bench) func(*Options) {
	return func(o *Options) {
		o.Config.GHL.LocationID, o.Config.GHL.PrivateToken = b.ghl.Location(), secret.Text(b.ghl.Token())
	}
}

func TestTheEnvironmentsLocationIsTheFirstConnection(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	d := b.process(ofEnvironment(b))
	require.NoError(t, read(t.Context(), d, shop), "before it is adopted, too")
	for range 2 {
		require.NoError(t, d.Adopt(t.Context()))
	}
	c := b.connection(shop)
	require.Equal(t, store.Active, c.State)
	require.Equal(t, store.ByPrivateToken, c.Access)
	require.EqualValues(t, 1, c.Version)
	require.NoError(t, read(t.Context(), d, shop))
	_, _, err := d.Sage(t.Context(), shop)
	require.NoError(t, err)
	locations, err := d.Locations(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{shop}, locations)
	only, one, err := d.Only(t.Context())
	require.NoError(t, err)
	require.True(t, one)
	require.Equal(t, shop, only)

	b.save(shop, store.Retired, nil)
	require.NoError(t, d.Adopt(t.Context()))
	require.Equal(t, store.Retired, b.connection(shop).State, "what was removed is not adopted again")
	require.Equal(t, activities.Mapping, kindOf(read(t.Context(), d, shop)))
}

func TestWithoutAStoreThereIsTheEnvironmentsLocation(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	d := b.process(ofEnvironment(b), func(o *Options) { o.Store, o.Ring = nil, nil })
	require.NoError(t, read(t.Context(), d, shop))
	require.Equal(t, activities.Mapping, kindOf(read(t.Context(), d, "foreign")))
	locations, err := d.Locations(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{shop}, locations)
}

func TestAStateActsAtOnce(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	b.install(shop)
	d := b.process()
	for _, c := range []struct {
		state  store.ConnectionState
		kind   activities.Kind
		events bool
	}{
		{store.Active, "", true}, {store.Paused, activities.Paused, false}, {store.Reconnect, activities.Reconnect, true},
		{store.Pending, activities.Mapping, false}, {store.Active, "", true}, {store.Leaving, activities.Mapping, false},
	} {
		b.save(shop, c.state, func(row *store.Connection) { row.Note = "the reason" })
		err := read(t.Context(), d, shop)
		require.Equal(t, c.kind, kindOf(err), c.state)
		if c.kind == "" {
			require.NoError(t, err)
		} else if c.state != store.Leaving {
			require.ErrorContains(t, err, "the reason")
			_, _, err = d.Sage(t.Context(), shop)
			require.Equal(t, c.kind, kindOf(err), c.state)
			_, err = d.OnlyTest(t.Context(), shop)
			require.Equal(t, c.kind, kindOf(err), c.state)
		}
		connected, err := d.Connected(t.Context(), shop)
		require.NoError(t, err)
		require.Equal(t, c.events, connected, c.state)
	}
	connected, err := d.Connected(t.Context(), "foreign")
	require.NoError(t, err)
	require.False(t, connected)
	require.ErrorContains(t, read(t.Context(), d, "foreign"), "starter connect list")

	b.save(shop, store.Paused, nil)
	require.NoError(t, read(t.Context(), b.process(func(o *Options) { o.Regardless = true }), shop), "a preflight looks all the same")
}

// own are settings as a file of a connection gives them.
func own(t *testing.T, lines ...string) config.Settings {
	t.Helper()
	s, err := config.LoadSettings(strings.NewReader(strings.Join(lines, "\n")))
	require.NoError(t, err)
	return s
}

func (b *bench) set(location string, s config.Settings, tenant string) {
	b.t.Helper()
	sealed, err := SealSettings(b.ring, location, s)
	require.NoError(b.t, err)
	b.save(location, store.Active, func(c *store.Connection) {
		c.Settings, c.Sage = sealed, tenant
		if c.Access == "" {
			c.Access = store.ByPrivateToken
		}
	})
}

func TestSettingsOfAConnectionActAtOnceAndSurviveRotation(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	b.ghl.AddLocation("second", "pit-second")
	tenant := sagebox.New(sagebox.Options{})
	require.NoError(t, tenant.Start())
	t.Cleanup(tenant.Close)
	public, private := tenant.Keys()
	lines := []string{"SAGE_BASE_URL=" + tenant.URL(), "SAGE_PUBLIC_KEY=" + public, "SAGE_PRIVATE_KEY=" + private,
		"SAGE_BRANCH_ID=7", `SAGE_DEFAULT_FIELDS='{"accounts":{"Z_Region":"EU","Z_Rank":3,"Z_Rate":1.5}}'`}
	settings := own(t, append(lines, "GHL_PRIVATE_TOKEN=pit-wrong")...)
	b.set("second", settings, store.SageOfItsOwn)
	require.NotContains(t, b.connection("second").Settings.Text, "pit-wrong")
	opened, err := OpenSettings(b.ring, "second", b.connection("second").Settings)
	require.NoError(t, err)
	require.Equal(t, settings, opened)
	_, err = OpenSettings(b.ring, shop, b.connection("second").Settings)
	require.ErrorIs(t, err, secret.ErrOpen, "settings of one location are none of another's")

	d := b.process()
	require.True(t, transport.IsStatus(read(t.Context(), d, "second"), 401))
	b.set("second", own(t, append(lines, "GHL_PRIVATE_TOKEN=pit-second", "TEST_ORDERS=only")...), store.SageOfItsOwn)
	require.NoError(t, read(t.Context(), d, "second"))
	test, err := d.OnlyTest(t.Context(), "second")
	require.NoError(t, err)
	require.True(t, test)
	client, how, err := d.Sage(t.Context(), "second")
	require.NoError(t, err)
	_, err = client.Catalog.Branches(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, tenant.CallCount("sage.login"))
	require.EqualValues(t, 7, how.BranchID)
	require.Equal(t, map[string]any{"Z_Region": "EU", "Z_Rank": int64(3), "Z_Rate": how.Defaults["accounts"]["Z_Rate"]}, how.Defaults["accounts"])

	// The keys are rotated while clients are in use: they stay the same clients, with their limits and sessions.
	before, err := d.GHL(t.Context(), "second")
	require.NoError(t, err)
	fresh, err := secret.ParseRing("new:" + strings.Repeat("A", 43) + "=," + b.ring.Reveal())
	require.NoError(t, err)
	d.ring = fresh // as a process has it that was started with both keys
	_, err = b.books.Reseal(t.Context(), "new", func(purpose string, old store.Sealed) (store.Sealed, error) {
		plain, err := fresh.OpenText(old.Text, purpose)
		return seal(fresh, plain, purpose), err
	})
	require.NoError(t, err)
	after, err := d.GHL(t.Context(), "second")
	require.NoError(t, err)
	require.Same(t, before, after)
	sameSage, _, err := d.Sage(t.Context(), "second")
	require.NoError(t, err)
	require.Same(t, client, sameSage)
}

func TestWhatAConnectionLacksIsSaid(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	d := b.process(func(o *Options) { o.Config.GHL.ClientID = "" })
	b.set("second", own(t, "TEST_ORDERS=drop"), store.SageUndecided)
	_, err := d.GHL(t.Context(), "second")
	require.ErrorContains(t, err, "GHL_PRIVATE_TOKEN")
	require.Equal(t, activities.Mapping, kindOf(err))
	_, _, err = d.Sage(t.Context(), "second")
	require.ErrorContains(t, err, "--sage environment")
	b.set("second", own(t, "TEST_ORDERS=drop"), store.SageOfItsOwn)
	_, _, err = d.Sage(t.Context(), "second")
	require.ErrorContains(t, err, "SAGE_PUBLIC_KEY")
	b.install(shop)
	_, err = d.GHL(t.Context(), shop)
	require.ErrorContains(t, err, "GHL_CLIENT_ID")
}

func TestConnectionsOfOneTenantShareItsSessionAndItsLimit(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	b.config.Sage.RequestsPerSecond = 100
	public, private := b.sage.Keys()
	lines := []string{"SAGE_BASE_URL=" + b.sage.URL(), "SAGE_PUBLIC_KEY=" + public, "SAGE_PRIVATE_KEY=" + private}
	b.install(shop)
	b.set("second", own(t, append(lines, "SAGE_REQUESTS_PER_SECOND=100")...), store.SageOfItsOwn)
	d := b.process()
	sessions := func() (*sage.Client, *sage.Client) {
		t.Helper()
		one, _, err := d.Sage(t.Context(), shop)
		require.NoError(t, err)
		two, _, err := d.Sage(t.Context(), "second")
		require.NoError(t, err)
		for _, c := range []*sage.Client{one, two} {
			_, err := c.Catalog.Branches(t.Context())
			require.NoError(t, err)
		}
		return one, two
	}
	one, two := sessions()
	require.Same(t, one, two)
	require.Equal(t, 1, b.sage.CallCount("sage.login"))

	b.set("second", own(t, append(lines, "SAGE_REQUESTS_PER_SECOND=50")...), store.SageOfItsOwn)
	_, _, err := d.Sage(t.Context(), "second")
	require.NoError(t, err)
	one, two = sessions()
	require.Same(t, one, two, "the slower of two rates holds for both, and nothing is built with each call")
	require.Len(t, d.tenants, 1)
}

func TestProcessesShareTheLimitsOfLaterClientsToo(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	b.config.GHL.RequestsPer10Seconds, b.config.Sage.RequestsPerSecond = 90, 3
	b.install(shop)
	d := b.process()
	require.NoError(t, read(t.Context(), d, shop))
	d.Share(-1, 2) // a newcomer that holds back
	var limited *transport.LimitError
	require.ErrorAs(t, read(t.Context(), d, shop), &limited)
	b.ghl.AddSubAccount(ghlbox.SubAccount{ID: "second"})
	b.install("second")
	require.ErrorAs(t, read(t.Context(), d, "second"), &limited)
	client, _, err := d.Sage(t.Context(), shop)
	require.NoError(t, err)
	_, err = client.Catalog.Branches(t.Context())
	require.ErrorAs(t, err, &limited)
	d.Share(1, 2)
	require.NoError(t, read(t.Context(), d, shop))
	require.NoError(t, read(t.Context(), d, "second"))
}

func TestOneLocationTakesHalfOfTheProcessAtMost(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	b.config.Process.ConcurrentGHL = 2
	b.install(shop)
	b.ghl.AddSubAccount(ghlbox.SubAccount{ID: "second"})
	b.install("second")
	d := b.process()
	alone, err := d.GHL(t.Context(), shop)
	require.NoError(t, err)
	_, err = d.GHL(t.Context(), "second")
	require.NoError(t, err)
	among, err := d.GHL(t.Context(), shop)
	require.NoError(t, err)
	require.NotSame(t, alone, among, "the only one has all, one of two has half")
	require.Equal(t, 1, d.places[shop].parts.maxInFlight)
	require.Same(t, d.places[shop].limiter.Bucket, d.place(shop).limiter.Bucket)
}

func TestWritesThatReadOnlyKeepsBackAreSealed(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	b.config.Orders.ReadOnly = true
	b.install(shop)
	d := b.process()
	client, err := d.GHL(t.Context(), shop)
	require.NoError(t, err)
	for range 2 {
		_, _, err = client.Contacts.Upsert(t.Context(), ghl.ContactInput{Email: "ada@example.com"})
		require.ErrorIs(t, err, transport.ErrReadOnly)
	}
	into, _, err := d.Sage(t.Context(), shop)
	require.NoError(t, err)
	name := "Ada"
	_, err = into.Accounts.Create(t.Context(), sage.AccountFields{Name: &name})
	require.ErrorIs(t, err, transport.ErrReadOnly)

	planned, _, err := b.books.Planned(t.Context(), store.PlannedFilter{Location: shop})
	require.NoError(t, err)
	require.Len(t, planned, 2)
	vendors := []string{planned[0].Vendor, planned[1].Vendor}
	slices.Sort(vendors)
	require.Equal(t, []string{"ghl", "sage"}, vendors)
	for _, p := range planned {
		require.NotContains(t, p.Request.Text, "ada@example.com")
		request, err := d.OpenPlanned(p)
		require.NoError(t, err)
		require.True(t, json.Valid(request.Body))
		if p.Vendor == "ghl" {
			require.EqualValues(t, 2, p.Times)
			require.Contains(t, string(request.Body), "ada@example.com")
		}
	}
	require.Zero(t, b.ghl.CallCount(""), "nothing was sent")
}

func TestAProcessWithTheWrongKeysDoesNotStart(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	key := func(letter string) string { return strings.Repeat(letter, 43) + "=" }
	with := func(keys string) *Directory {
		ring, err := secret.ParseRing(keys)
		require.NoError(t, err)
		return b.process(func(o *Options) { o.Ring = ring })
	}
	first := with("k1:" + key("A"))
	require.NoError(t, first.Adopt(t.Context()))
	row, err := sealToken(first.ring, shopsToken, token{access: "a", refresh: "r", expires: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	_, err = b.books.PutToken(t.Context(), row)
	require.NoError(t, err)

	err = with("k2:" + key("B")).Adopt(t.Context())
	require.ErrorIs(t, err, secret.ErrUnknownKey)
	require.ErrorContains(t, err, "k1 (1)")
	require.ErrorContains(t, err, "SECRET_KEYS")
	for _, keys := range []string{"k1:" + key("B"), "k2:" + key("B") + ",k1:" + key("C")} {
		err = with(keys).Adopt(t.Context())
		require.ErrorIs(t, err, store.ErrKeyDiffers)
		require.ErrorContains(t, err, "k1")
		require.NotContains(t, err.Error(), key("B"))
	}
	require.NoError(t, with("k2:"+key("B")+",k1:"+key("A")).Adopt(t.Context()))
	known, err := b.books.SealingKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, known, 2)
	require.Zero(t, known[1].Until)
	require.Equal(t, "k2", known[1].ID)
}

func TestAStoreWithoutKeysIsRefused(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	_, err := Open(Options{Config: b.config, Store: b.books})
	require.ErrorContains(t, err, "SECRET_KEYS")
}

// TestShippingIsFollowedByAConnectionsOwnSettings: what a connection has of its own counts, with its defaults; settings
// that were sealed before there was anything to say of shipping leave it to the environment.
func TestShippingIsFollowedByAConnectionsOwnSettings(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	d := b.process(func(o *Options) {
		o.Config.Shipping = config.Shipping{On: true, Verify: config.VerifyOpen, ActivityType: 4}
	})
	b.set("second", own(t, "FULFILLMENTS=false", "DIGITAL_ORDERS=ship", "SAGE_TASKS=true"), store.SageOfEnvironment)
	how, err := d.Fulfillment(t.Context(), "second")
	require.NoError(t, err)
	require.False(t, how.On)
	require.False(t, how.Rules.DeliverDigital)
	require.Equal(t, domain.FulfillmentProcessing, how.Rules.WithoutTracking)
	require.True(t, how.Tasks)
	require.Equal(t, activities.VerifyPartial, how.Verify)
	require.Equal(t, time.Minute, how.Settle)

	before := own(t)
	before.Shipping = nil
	b.set("second", before, store.SageOfEnvironment)
	how, err = d.Fulfillment(t.Context(), "second")
	require.NoError(t, err)
	require.True(t, how.On)
	require.Equal(t, activities.VerifyOpen, how.Verify)
	require.EqualValues(t, 4, how.ActivityType)

	b.save("second", store.Paused, nil)
	_, err = d.Fulfillment(t.Context(), "second")
	require.Equal(t, activities.Paused, kindOf(err))
}

// TestBooksAreKeptByAConnectionsOwnSettings: as with shipping.
func TestBooksAreKeptByAConnectionsOwnSettings(t *testing.T) {
	b := newBench(t, sqliteURL(t), ghlbox.OAuthOptions{})
	d := b.process(func(o *Options) {
		o.Config.Books = config.Books{Rows: true, Refunds: config.SkipRefunds, Currency: "GBP", Probability: 3}
	})
	b.set("second", own(t, "SALES_ROWS=false", "SALES_REFUNDS=activity", "SALES_FOREIGN=activity", "SALES_CURRENCY=EUR",
		"RENEWAL_ORDERS=true", "SAGE_OPPORTUNITY_STATUS_WON=7", "REVENUE_REPORT=activity", "REVENUE_REPORT_ACCOUNT=42"), store.SageOfEnvironment)
	_, settings, err := d.Sage(t.Context(), "second")
	require.NoError(t, err)
	require.Equal(t, activities.BooksSettings{
		NoRows: true, Refunds: activities.InsteadActivity, Foreign: activities.InsteadActivity, Currency: "EUR", RenewalOrders: true,
		OpportunityWon: 7, Probability: 5, Revenue: activities.RevenueSettings{On: true, Account: 42, Day: 2},
	}, settings.Books)
	revenue, err := d.Revenue(t.Context(), "second")
	require.NoError(t, err)
	require.Equal(t, settings.Books.Revenue, revenue)

	before := own(t)
	before.Books = nil
	b.set("second", before, store.SageOfEnvironment)
	_, settings, err = d.Sage(t.Context(), "second")
	require.NoError(t, err)
	require.Equal(t, activities.BooksSettings{Refunds: activities.InsteadSkip, Currency: "GBP", Probability: 3}, settings.Books)
}
