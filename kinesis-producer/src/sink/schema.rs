//! From what a program works with to a record's data.

use bytes::Bytes;

use crate::record::StreamTarget;

/// The cause of a failure in user code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Turns elements into the data of records.
///
/// A closure from `&T` to `Result<Bytes, BoxError>` is a schema too.
pub trait SerializationSchema<T: ?Sized>: Send + Sync + 'static {
    /// Makes a record's data of an element.
    ///
    /// # Errors
    /// The element is then not written, and its write says so. The error's text is shown in logs: it should not hold
    /// the data.
    fn encode(&self, element: &T) -> Result<Bytes, BoxError>;
}

impl<T, F> SerializationSchema<T> for F
where
    T: ?Sized,
    F: Fn(&T) -> Result<Bytes, BoxError> + Send + Sync + 'static,
{
    fn encode(&self, element: &T) -> Result<Bytes, BoxError> {
        self(element)
    }
}

/// Turns elements into the data of records, and chooses the stream of each.
pub trait KinesisSerializationSchema<T: ?Sized>: Send + Sync + 'static {
    /// Makes a record's data of an element.
    ///
    /// # Errors
    /// As of [`SerializationSchema::encode`].
    fn encode(&self, element: &T) -> Result<Bytes, BoxError>;

    /// The stream that an element goes to; `None` means the sink's own.
    fn target_stream(&self, element: &T) -> Option<StreamTarget>;
}

/// A schema that leaves the stream to the sink.
#[derive(Debug)]
pub(super) struct ToDefaultStream<S>(pub(super) S);

impl<T: ?Sized, S: SerializationSchema<T>> KinesisSerializationSchema<T> for ToDefaultStream<S> {
    fn encode(&self, element: &T) -> Result<Bytes, BoxError> {
        self.0.encode(element)
    }

    fn target_stream(&self, _element: &T) -> Option<StreamTarget> {
        None
    }
}

/// Writes bytes as they are; those of a [`Bytes`] without a copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawBytes;

impl SerializationSchema<Bytes> for RawBytes {
    fn encode(&self, element: &Bytes) -> Result<Bytes, BoxError> {
        Ok(element.clone())
    }
}

impl SerializationSchema<Vec<u8>> for RawBytes {
    fn encode(&self, element: &Vec<u8>) -> Result<Bytes, BoxError> {
        Ok(Bytes::copy_from_slice(element))
    }
}

/// Writes text as UTF-8.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8;

impl<T: AsRef<str> + ?Sized> SerializationSchema<T> for Utf8 {
    fn encode(&self, element: &T) -> Result<Bytes, BoxError> {
        Ok(Bytes::copy_from_slice(element.as_ref().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_not_copied() {
        let element = Bytes::from(vec![1, 2, 3]);
        assert_eq!(RawBytes.encode(&element).unwrap().as_ptr(), element.as_ptr());
        assert_eq!(RawBytes.encode(&vec![1, 2, 3]).unwrap(), element);
    }

    #[test]
    fn text_is_written_as_utf_8() {
        assert_eq!(Utf8.encode("é").unwrap().as_ref(), [0xc3, 0xa9]);
        assert_eq!(Utf8.encode(&"é".to_owned()).unwrap().as_ref(), [0xc3, 0xa9]);
    }

    #[test]
    fn a_plain_schema_leaves_the_stream_to_the_sink() {
        let schema = ToDefaultStream(|number: &u8| Ok::<_, BoxError>(Bytes::from(vec![*number])));
        assert!(schema.target_stream(&7).is_none());
        assert_eq!(schema.encode(&7).unwrap().as_ref(), [7]);
    }
}
