//! One file per way in. Sources turn devices and network input into events and send them into
//! the pipeline's lanes; what cannot be used goes to the quarantine with its reason.
//!
//! | source | way in | lane |
//! | --- | --- | --- |
//! | [`camera`] | frames of a camera, and what can be seen on them | witnesses |
//! | [`drawer`] | GPIO edges of sense and kick line | witnesses |
//! | [`printer`] | bytes of the printer's serial line | witnesses |
//! | [`pos`] | reading one POS event, whoever brought it | bulk |
//! | [`pos_mqtt`] | POS events by MQTT | bulk |

pub mod camera;
pub mod device;
pub mod drawer;
pub mod pos;
pub mod pos_mqtt;
pub mod printer;
pub mod transaction;
