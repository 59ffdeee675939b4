body='{"order":"660ed43bfdf9fc05a0de7a40","status":"delivered"}'
t=$(date +%s)
v1=$(printf '%s.%s' "$t" "$body" | openssl dgst -sha256 -hmac "$DELIVERY_WEBHOOK_SECRET" -r | cut -d' ' -f1)
curl -sS -X POST "$PUBLIC_URL/webhooks/delivery" -H "X-Tallystick-Signature: t=$t,v1=$v1" --data-binary "$body"
