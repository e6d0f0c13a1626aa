# The publisher that introductions to MQTT show: no loop, no credentials, one value.
import paho.mqtt.client as mqtt

client = mqtt.Client()
client.connect("localhost", 1883, 60)
client.publish("/Home/Floor1/Room1/temperature", "75")
client.disconnect()
