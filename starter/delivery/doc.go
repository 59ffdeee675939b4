// Package delivery is the door through which a carrier, a warehouse or anybody who was given the secret tells that goods
// are on their way or have arrived: POST /webhooks/delivery. It keeps what it is told in the store and then has the
// process of the order's fulfilment look; it changes nothing at a vendor itself. The starter's server mounts a Handler
// where DELIVERY_WEBHOOK_SECRET is set.
//
// # The request
//
// The body is a JSON object:
//
//	order     HighLevel's id of the order: news of all that it holds
//	tracking  or the tracking number of one shipment; blanks, hyphens and case do not matter
//	status    "delivered" or "shipped"
//	at        when that was, as RFC 3339; the time of the request if left out
//	location  HighLevel's id of the location; may be left out where just one is connected
//
// Either order or tracking stands there, not both. Other fields are passed over.
//
// The header X-Tallystick-Signature is t=SECONDS,v1=HEX, where SECONDS is the time of the request as Unix time and HEX
// the HMAC-SHA256 of SECONDS, a dot and the raw body, with the secret as the key. The time may be five minutes off, either
// way. There may be several v1, of which one must be right: to change the secret, sign with the old and the new one until
// the starter has the new one.
//
//	body='{"order":"660ed43bfdf9fc05a0de7a40","status":"delivered"}'
//	t=$(date +%s)
//	v1=$(printf '%s.%s' "$t" "$body" | openssl dgst -sha256 -hmac "$DELIVERY_WEBHOOK_SECRET" -r | cut -d' ' -f1)
//	curl -sS -X POST "$PUBLIC_URL/webhooks/delivery" -H "X-Tallystick-Signature: t=$t,v1=$v1" --data-binary "$body"
//
// # The answer
//
// A JSON object with "status" and, where it is not "accepted", a "reason".
//
//	200 accepted  kept, and the order is being looked at
//	200 kept      kept until the order is in the books, its shipment is known, or its location works again
//	400 refused   it cannot be read, or names no order; sending it again changes nothing
//	401 refused   the signature is missing or wrong, or its time is off
//	404 refused   the location is not connected here; without "status", no secret is set
//	413 refused   the body is larger than 1 MiB
//	429 later     store or Temporal is away, or there is too much at once: send it again after Retry-After seconds
//
// Whatever is sent twice, late or in another order comes to the same: the earliest time that was told counts, and a state
// never goes back. That is why a request that was overheard and sent again within the five minutes does no harm.
package delivery
