//! What the service does about every answer that the Client System can give to an upload, or fail to give.

mod success;
