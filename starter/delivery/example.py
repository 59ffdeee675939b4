import hashlib, hmac, json, os, time, urllib.request

body = json.dumps({"tracking": "1Z999AA10123456784", "status": "delivered"}).encode()
t = str(int(time.time()))
v1 = hmac.new(os.environ["DELIVERY_WEBHOOK_SECRET"].encode(), t.encode() + b"." + body, hashlib.sha256).hexdigest()
request = urllib.request.Request(os.environ["PUBLIC_URL"] + "/webhooks/delivery", body, {"X-Tallystick-Signature": f"t={t},v1={v1}"})
print(urllib.request.urlopen(request).read().decode())
