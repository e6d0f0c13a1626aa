# A client over WebSocket, with or without TLS: subscribes, publishes at each QoS, and wants back what it sent, in order.
#
#   carried.py PORT [CA-FILE]
import sys
import paho.mqtt.client as mqtt

want = ["%d of %s" % (n, "x" * size) for n, size in enumerate([0, 100, 70000, 3])]
got = []


def on_connect(client, userdata, flags, rc):
    client.subscribe("carried", 2)


def on_subscribe(client, userdata, mid, granted):
    for n, payload in enumerate(want):
        client.publish("carried", payload, qos=n % 3)


def on_message(client, userdata, msg):
    got.append(msg.payload.decode())
    if len(got) == len(want):
        client.disconnect()


client = mqtt.Client(transport="websockets")
client.ws_set_options(path="/mqtt")
if len(sys.argv) > 2:
    client.tls_set(ca_certs=sys.argv[2])
client.on_connect = on_connect
client.on_subscribe = on_subscribe
client.on_message = on_message
client.connect("localhost", int(sys.argv[1]), 60)
client.loop_forever()
sys.exit(sorted(got) != sorted(want))
