# The subscriber that introductions to MQTT show: subscribes when connected and prints what arrives.
import paho.mqtt.client as mqtt


def on_connect(client, userdata, flags, rc):
    print("Connected with result code " + str(rc), flush=True)
    client.subscribe("/Home/Floor1/Room1/temperature")


def on_message(client, userdata, msg):
    print(msg.topic + " " + str(msg.payload.decode()), flush=True)


client = mqtt.Client()
client.on_connect = on_connect
client.on_message = on_message
client.connect("localhost", 1883, 60)
client.loop_forever()
