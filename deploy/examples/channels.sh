# Event channels over HTTP, line by line: copy a line and run it beside `carillon serve`.
# TOKEN and ID stand for what an answer before has given. `#>` shows an answer, with … for what differs.
# The tests run every line.

# A group gets what is published from its creation on.
curl -X PUT http://127.0.0.1:8888/channels/orders/groups/mail

# Publish text. The answer comes after the broker's confirm.
curl -d 'order 7' -H 'Content-Type: text/plain' http://127.0.0.1:8888/channels/orders
#> {"id":"…","position":"…"}

# Publish JSON with a header; events of one key keep their order.
curl --json '{"order":8}' -H 'carillon-key: customer-3' -H 'carillon-tenant: blue' http://127.0.0.1:8888/channels/orders
#> {"id":"…","position":"…"}

# Publish bytes.
printf '\000\377' | curl --data-binary @- -H 'Content-Type: application/octet-stream' http://127.0.0.1:8888/channels/orders
#> {"id":"…","position":"…"}

# Publish a CloudEvent as one JSON object,
curl -d '{"specversion":"1.0","id":"A-9","source":"/shop","type":"order.placed","data":{"order":9}}' -H 'Content-Type: application/cloudevents+json' http://127.0.0.1:8888/channels/orders
#> {"id":"A-9","position":"…"}

# with its attributes as fields,
curl -d '{"order":10}' -H 'Content-Type: application/json' -H 'ce-specversion: 1.0' -H 'ce-id: A-10' -H 'ce-source: /shop' -H 'ce-type: order.placed' http://127.0.0.1:8888/channels/orders
#> {"id":"A-10","position":"…"}

# or several at once: nothing is published unless all can be read.
curl -d '[{"specversion":"1.0","id":"A-11","source":"/shop","type":"order.placed"},{"specversion":"1.0","id":"A-12","source":"/shop","type":"order.placed"}]' -H 'Content-Type: application/cloudevents-batch+json' http://127.0.0.1:8888/channels/orders
#> {"events":[{"id":"A-11","position":"…"},{"id":"A-12","position":"…"}]}

# Watch every event, here from the first on. `-H 'Last-Event-ID: …'` resumes behind the last one seen.
curl -N -H 'Accept: text/event-stream' 'http://127.0.0.1:8888/channels/orders?after=earliest'
#> event: ready
#> …id: …
#> data: {"id":"…","contentType":"text/plain",…"payload":"order 7","encoding":"utf-8"}
#> …"payload":"AP8=","encoding":"base64"}…

# The same as CloudEvents.
curl -N 'http://127.0.0.1:8888/channels/orders?after=earliest&format=cloudevents'
#> …data: {"specversion":"1.0","id":"A-9","source":"/shop","type":"order.placed",…"datacontenttype":"application/json","data":{"order":9}}…

# Take deliveries of a group, up to ten, waiting up to 20 s for the first; they are yours for 30 s.
curl -X POST 'http://127.0.0.1:8888/channels/orders/groups/mail/pull?max=10&wait=20s&lease=30s'
#> {"deliveries":[{"token":"…","attempt":1,…"payload":"order 7","encoding":"utf-8"}…]}

# Keep one longer,
curl -d '{"extend":[{"token":"TOKEN","lease":"2m"}]}' http://127.0.0.1:8888/channels/orders/groups/mail/settle
#> {"results":[{"token":"…","result":"extended"}]}

# and say that it is done. `retry` gives it to another member later, `reject` makes it a dead letter, `release` gives it back unseen.
curl -d '{"accept":["TOKEN"]}' http://127.0.0.1:8888/channels/orders/groups/mail/settle
#> {"results":[{"token":"…","result":"accepted"}]}

# Go: what is not settled is given back at once, not when its time is over.
curl -X POST http://127.0.0.1:8888/channels/orders/groups/mail/leave

# Deliveries as CloudEvents.
curl -X POST -H 'Accept: application/cloudevents+json' 'http://127.0.0.1:8888/channels/orders/groups/mail/pull?wait=20s'
#> {"deliveries":[{"token":"…","attempt":…,"event":{"specversion":"1.0",…}}]}

# Give an event up.
curl -d '{"reject":[{"token":"TOKEN","reason":"no such order"}]}' http://127.0.0.1:8888/channels/orders/groups/mail/settle
#> {"results":[{"token":"…","result":"rejected"}]}

# How far a group is behind.
curl http://127.0.0.1:8888/channels/orders/groups/mail
#> {"ready":…,"inHand":…,"delayed":…,"dead":1,…}

# Its dead letters: `header=tenant:blue`, `since`, `until` and `limit` choose.
curl 'http://127.0.0.1:8888/channels/orders/groups/mail/dead-letters?since=2h&limit=10'
#> {"deadLetters":[{"id":"…","attempts":…,"time":…,"reason":{"message":"no such order","kind":"error"},"envelope":{…}}]}

# Give one back to the group that gave it up, or drop all that are left.
curl -d '{"ids":["ID"]}' http://127.0.0.1:8888/channels/orders/groups/mail/dead-letters/replay
#> {"replayed":1}
curl -d '{"all":true}' http://127.0.0.1:8888/channels/orders/groups/mail/dead-letters/drop
#> {"dropped":0}

# Send the events of a group to a URL: POST, a CloudEvent with its attributes as `ce-` fields, signed.
curl -X PUT -d '{"url":"http://127.0.0.1:9000/hook","secret":"hush","concurrency":4,"attempts":5,"timeout":"10s"}' http://127.0.0.1:8888/channels/orders/groups/audit/push
#> {"destination":"orders","group":"audit","url":"http://127.0.0.1:…/…","format":"binary","concurrency":4,"attempts":5,"timeout":"10000ms","signed":true,…}
curl -d 'order 13' -H 'Content-Type: text/plain' http://127.0.0.1:8888/channels/orders
#> {"id":"…","position":"…"}

# The subscriber verifies `carillon-signature: t=TIME,v1=HEX` of a body: this prints HEX.
printf '%s' 'TIME.order 13' | openssl dgst -sha256 -hmac hush
#> …HEX

# How it goes, all that there is, and the end of it.
curl http://127.0.0.1:8888/channels/orders/groups/audit/push
#> {"destination":"orders","group":"audit",…"delivered":1,"failed":0}
curl http://127.0.0.1:8888/channels
#> {"push":[{"destination":"orders","group":"audit",…}],"deadLetters":[]}
curl -X DELETE http://127.0.0.1:8888/channels/orders/groups/audit/push
