//! Uploads meter readings to the Client System.
