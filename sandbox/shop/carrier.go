package shop

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// SignatureHeader names the header by which a delivery call is signed.
const SignatureHeader = "X-Tallystick-Signature"

// callTime bounds one call.
const callTime = 10 * time.Second

// Carrier tells of deliveries as whoever has the secret may: by POST /webhooks/delivery at the front door.
type Carrier struct {
	// FrontDoor is the starter's URL, Secret its DELIVERY_WEBHOOK_SECRET.
	FrontDoor, Secret string
	// Location goes with every call; it may be empty where only one is served.
	Location string
}

// Delivery is what a carrier says. Order or Tracking may be empty, not both.
type Delivery struct {
	Location string `json:"location,omitempty"`
	Order    string `json:"order,omitempty"`
	Tracking string `json:"tracking,omitempty"`
	// Status is "delivered" or "shipped".
	Status string    `json:"status"`
	At     time.Time `json:"at,omitzero"`
}

// Tell makes one call and returns the answer's status; 0 with an error if there was none.
func (c Carrier) Tell(ctx context.Context, d Delivery) (status int, err error) {
	if d.Location == "" {
		d.Location = c.Location
	}
	body, err := json.Marshal(d)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.FrontDoor+"/webhooks/delivery", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(SignatureHeader, Sign(c.Secret, time.Now(), body))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, nil
}

// Sign is the header's value: the time of signing and the HMAC of time and body.
func Sign(secret string, at time.Time, body []byte) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	sum := hmac.New(sha256.New, []byte(secret))
	sum.Write([]byte(seconds + "."))
	sum.Write(body)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(sum.Sum(nil))
}

// tell carries out an act, a call for each number. It is false if the front door was away or busy: then all of it is to
// be told again, which does no harm.
func (c Carrier) tell(ctx context.Context, a Act) (accepted bool, err error) {
	calls := []Delivery{{Order: a.OrderID, Status: delivered}}
	if len(a.Trackings) > 0 {
		calls = nil
	}
	for _, t := range a.Trackings {
		// A scanner has its own way to write numbers.
		calls = append(calls, Delivery{Tracking: strings.ToLower(t.Number[:2]) + "-" + t.Number[2:], Status: delivered})
	}
	for _, d := range calls {
		switch status, err := c.Tell(ctx, d); {
		case err != nil || status == http.StatusTooManyRequests || status >= http.StatusInternalServerError:
			return false, ctx.Err()
		case status != http.StatusOK:
			return false, fmt.Errorf("the front door refused the news of a delivery with status %d; is DELIVERY_WEBHOOK_SECRET the same on both sides?", status)
		}
	}
	return true, nil
}
