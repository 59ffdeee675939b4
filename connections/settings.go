package connections

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tallystick/tallystick/activities"
	"github.com/tallystick/tallystick/domain"
	"github.com/tallystick/tallystick/internal/config"
	"github.com/tallystick/tallystick/internal/secret"
	"github.com/tallystick/tallystick/internal/store"
)

// SealSettings makes settings of one connection what the store keeps of them. They open for this location only.
func SealSettings(ring *secret.Ring, location string, s config.Settings) (store.Sealed, error) {
	plain, err := json.Marshal(recordOf(s)) //nolint:gosec // it is sealed before it goes anywhere
	if err != nil {
		return store.Sealed{}, fmt.Errorf("write the settings of location %s: %w", location, err)
	}
	return seal(ring, plain, store.SettingsPurpose(location)), nil
}

// OpenSettings is the reverse of SealSettings. Settings that were never sealed are zero.
func OpenSettings(ring *secret.Ring, location string, sealed store.Sealed) (config.Settings, error) {
	if sealed.IsZero() {
		return config.Settings{}, nil
	}
	plain, err := ring.OpenText(sealed.Text, store.SettingsPurpose(location))
	if err != nil {
		return config.Settings{}, fmt.Errorf("open the settings of location %s: %w", location, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(plain))
	decoder.UseNumber()
	var r record
	if err := decoder.Decode(&r); err != nil { // its words may quote the text
		return config.Settings{}, errors.New("the settings of location " + location + " cannot be read: set them again with `starter connect set`")
	}
	return r.settings(), nil
}

func seal(ring *secret.Ring, plain []byte, purpose string) store.Sealed {
	id, text := ring.SealText(plain, purpose)
	return store.Sealed{KeyID: id, Text: text}
}

// record is what is sealed of a connection's settings. The types of the configuration are not: they are made to show
// nothing of their values, in JSON as well. Fields are added, never renamed, for what is sealed outlives this program.
type record struct {
	PrivateToken string       `json:"privateToken,omitempty"`
	Sage         sageRecord   `json:"sage"`
	Orders       ordersRecord `json:"orders"`
	// Shipping is nil in what was sealed before a connection could have its own.
	Shipping *shippingRecord `json:"shipping,omitempty"`
	Books    *booksRecord    `json:"books,omitempty"`
}

type sageRecord struct {
	BaseURL           string                    `json:"baseUrl,omitempty"`
	PublicKey         string                    `json:"publicKey,omitempty"`
	PrivateKey        string                    `json:"privateKey,omitempty"`
	RequestsPerSecond float64                   `json:"requestsPerSecond,omitempty"`
	BranchID          int64                     `json:"branchId,omitempty"`
	SalesRepID        int64                     `json:"salesRepId,omitempty"`
	StatusOpen        int64                     `json:"statusOpen,omitempty"`
	StatusWon         int64                     `json:"statusWon,omitempty"`
	StatusRefunded    int64                     `json:"statusRefunded,omitempty"`
	TaxProductID      int64                     `json:"taxProductId,omitempty"`
	ShippingProductID int64                     `json:"shippingProductId,omitempty"`
	ExtraFieldPrefix  string                    `json:"extraFieldPrefix"`
	ExtraFields       map[string]string         `json:"extraFields,omitempty"`
	DefaultFields     map[string]map[string]any `json:"defaultFields,omitempty"`
	SettleDelay       time.Duration             `json:"settleDelay,omitempty"` // nanoseconds
}

type ordersRecord struct {
	MatchOpenWithin time.Duration `json:"matchOpenWithin,omitempty"` // nanoseconds
	AdoptedLines    string        `json:"adoptedLines,omitempty"`
	TestOrders      string        `json:"testOrders,omitempty"`
}

// shippingRecord has what of the shipping is a connection's own: not the secrets of the front door.
type shippingRecord struct {
	On                  bool          `json:"on"`
	WithoutTracking     string        `json:"withoutTracking"`
	PostWithoutTracking bool          `json:"postWithoutTracking"`
	NotifyCustomer      bool          `json:"notifyCustomer"`
	Digital             string        `json:"digital"`
	Cancelled           []string      `json:"cancelled"`
	Settle              time.Duration `json:"settle"` // nanoseconds
	Verify              string        `json:"verify"`
	Activities          bool          `json:"activities"`
	ActivityType        int64         `json:"activityType,omitempty"`
	Tasks               bool          `json:"tasks"`
	TaskType            int64         `json:"taskType,omitempty"`
}

// booksRecord says how payments and subscriptions are entered.
type booksRecord struct {
	Rows          bool   `json:"rows"`
	Refunds       string `json:"refunds"`
	Foreign       string `json:"foreign"`
	Currency      string `json:"currency,omitempty"`
	SalesRepExtID string `json:"salesRepExtId,omitempty"`
	RenewalOrders bool   `json:"renewalOrders"`
	StatusOpen    int64  `json:"statusOpen,omitempty"`
	StatusWon     int64  `json:"statusWon,omitempty"`
	StatusLost    int64  `json:"statusLost,omitempty"`
	Probability   int64  `json:"probability"`
	Report        string `json:"report,omitempty"`
	ReportAccount int64  `json:"reportAccount,omitempty"`
	ReportDay     int    `json:"reportDay,omitempty"`
}

func booksRecordOf(b *config.Books) *booksRecord {
	if b == nil {
		return nil
	}
	return &booksRecord{
		Rows: b.Rows, Refunds: string(b.Refunds), Foreign: string(b.Foreign), Currency: b.Currency, SalesRepExtID: b.SalesRepExtID,
		RenewalOrders: b.RenewalOrders, StatusOpen: b.StatusOpen, StatusWon: b.StatusWon, StatusLost: b.StatusLost,
		Probability: b.Probability, Report: string(b.Report), ReportAccount: b.ReportAccount, ReportDay: b.ReportDay,
	}
}

func (r *booksRecord) settings() *config.Books {
	if r == nil {
		return nil
	}
	return &config.Books{
		Rows: r.Rows, Refunds: config.RefundRows(r.Refunds), Foreign: config.ForeignPayments(r.Foreign), Currency: r.Currency,
		SalesRepExtID: r.SalesRepExtID, RenewalOrders: r.RenewalOrders, StatusOpen: r.StatusOpen, StatusWon: r.StatusWon,
		StatusLost: r.StatusLost, Probability: r.Probability,
		Report: config.RevenueReports(r.Report), ReportAccount: r.ReportAccount, ReportDay: r.ReportDay,
	}
}

// booksSettings says the same in the words of the steps.
func booksSettings(b config.Books) activities.BooksSettings {
	return activities.BooksSettings{
		NoRows: !b.Rows, Refunds: activities.Instead(b.Refunds), Foreign: activities.Instead(b.Foreign), Currency: b.Currency,
		SalesRepExtID: b.SalesRepExtID, RenewalOrders: b.RenewalOrders, OpportunityOpen: b.StatusOpen, OpportunityWon: b.StatusWon,
		OpportunityLost: b.StatusLost, Probability: b.Probability,
		Revenue: activities.RevenueSettings{
			On: b.Report == config.RevenueActivities, Account: b.ReportAccount, Day: b.ReportDay,
		},
	}
}

func shippingRecordOf(s *config.Shipping) *shippingRecord {
	if s == nil {
		return nil
	}
	return &shippingRecord{
		On: s.On, WithoutTracking: string(s.WithoutTracking), PostWithoutTracking: s.PostWithoutTracking,
		NotifyCustomer: s.NotifyCustomer, Digital: string(s.Digital), Cancelled: s.Cancelled, Settle: s.Settle,
		Verify: string(s.Verify), Activities: s.Activities, ActivityType: s.ActivityType, Tasks: s.Tasks, TaskType: s.TaskType,
	}
}

func (r *shippingRecord) settings() *config.Shipping {
	if r == nil {
		return nil
	}
	return &config.Shipping{
		On: r.On, WithoutTracking: config.UntrackedShipment(r.WithoutTracking), PostWithoutTracking: r.PostWithoutTracking,
		NotifyCustomer: r.NotifyCustomer, Digital: config.DigitalOrders(r.Digital), Cancelled: r.Cancelled, Settle: r.Settle,
		Verify: config.VerifiedShipments(r.Verify), Activities: r.Activities, ActivityType: r.ActivityType, Tasks: r.Tasks,
		TaskType: r.TaskType,
	}
}

func recordOf(s config.Settings) record {
	return record{
		Shipping:     shippingRecordOf(s.Shipping),
		Books:        booksRecordOf(s.Books),
		PrivateToken: s.GHL.PrivateToken.Reveal(),
		Sage: sageRecord{
			BaseURL: string(s.Sage.BaseURL), PublicKey: s.Sage.PublicKey.Reveal(), PrivateKey: s.Sage.PrivateKey.Reveal(),
			RequestsPerSecond: s.Sage.RequestsPerSecond, BranchID: s.Sage.BranchID, SalesRepID: s.Sage.SalesRepID,
			StatusOpen: s.Sage.StatusOpen, StatusWon: s.Sage.StatusWon, StatusRefunded: s.Sage.StatusRefunded,
			TaxProductID: s.Sage.TaxProductID, ShippingProductID: s.Sage.ShippingProductID,
			ExtraFieldPrefix: s.Sage.ExtraFieldPrefix, ExtraFields: s.Sage.ExtraFields,
			DefaultFields: s.Sage.DefaultFields, SettleDelay: s.Sage.SettleDelay,
		},
		Orders: ordersRecord{
			MatchOpenWithin: s.Orders.MatchOpenWithin, AdoptedLines: string(s.Orders.AdoptedLines),
			TestOrders: string(s.Orders.TestOrders),
		},
	}
}

func (r record) settings() config.Settings {
	return config.Settings{
		Shipping: r.Shipping.settings(),
		Books:    r.Books.settings(),
		GHL:      config.GHL{PrivateToken: secret.Text(r.PrivateToken)},
		Sage: config.Sage{
			BaseURL: config.BaseURL(r.Sage.BaseURL), PublicKey: secret.Text(r.Sage.PublicKey),
			PrivateKey: secret.Text(r.Sage.PrivateKey), RequestsPerSecond: r.Sage.RequestsPerSecond,
			BranchID: r.Sage.BranchID, SalesRepID: r.Sage.SalesRepID,
			StatusOpen: r.Sage.StatusOpen, StatusWon: r.Sage.StatusWon, StatusRefunded: r.Sage.StatusRefunded,
			TaxProductID: r.Sage.TaxProductID, ShippingProductID: r.Sage.ShippingProductID,
			ExtraFieldPrefix: r.Sage.ExtraFieldPrefix, ExtraFields: r.Sage.ExtraFields,
			DefaultFields: r.Sage.DefaultFields, SettleDelay: r.Sage.SettleDelay,
		},
		Orders: config.Orders{
			MatchOpenWithin: r.Orders.MatchOpenWithin, AdoptedLines: config.AdoptedLines(r.Orders.AdoptedLines),
			TestOrders: config.TestOrders(r.Orders.TestOrders),
		},
	}
}

// HasSage tells whether settings name a Sage tenant.
func HasSage(s config.Settings) bool { return s.Sage.PublicKey != "" && s.Sage.PrivateKey != "" }

// sageSettings says how a tenant is set up, in the words of the steps that write to it.
func sageSettings(c config.Sage, orders config.Orders) (activities.SageSettings, error) {
	s := activities.SageSettings{
		BranchID: c.BranchID, SalesRepID: c.SalesRepID,
		OpenStatus: c.StatusOpen, WonStatus: c.StatusWon, RefundedStatus: c.StatusRefunded,
		TaxProduct: c.TaxProductID, ShippingProd: c.ShippingProductID,
		FieldPrefix: c.ExtraFieldPrefix, FieldNames: c.ExtraFields,
		MatchOpenWithin:     orders.MatchOpenWithin,
		ReplaceAdoptedLines: orders.AdoptedLines == config.ReplaceLines,
		Settle:              c.SettleDelay,
		Defaults:            make(map[string]map[string]any, len(c.DefaultFields)),
	}
	for resource, fields := range c.DefaultFields {
		s.Defaults[resource] = make(map[string]any, len(fields))
		for name, value := range fields {
			field, err := defaultField(value)
			if err != nil {
				return s, fmt.Errorf("SAGE_DEFAULT_FIELDS, %s of %s: %w", name, resource, err)
			}
			s.Defaults[resource][name] = field
		}
	}
	return s, nil
}

// defaultField gives a configured value the type in which the client writes it. A whole number may be the id of a list
// entry, which the client takes as such.
func defaultField(value any) (any, error) {
	switch v := value.(type) {
	case string, bool:
		return v, nil
	case json.Number:
		number := domain.Number(v)
		if id, whole := number.Int64(); whole && id <= math.MaxInt32 {
			return id, nil
		}
		return number, nil
	}
	return nil, fmt.Errorf("it must be a text, a number, true or false")
}
