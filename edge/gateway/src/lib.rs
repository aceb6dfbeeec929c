//! The door for devices: MQTT, HTTP and store-and-forward.
