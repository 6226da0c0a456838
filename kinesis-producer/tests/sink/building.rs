use bytes::Bytes;
use kinesis_producer::{
    BoxError, DeadLetter, FixedPartitioner, KinesisSink, RandomPartitioner, RawBytes, SinkBuildError, Utf8,
};

use crate::support::{kinesis, producer, sink};

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_named() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let missing = |error: SinkBuildError| match error {
        SinkBuildError::Missing { what, method } => (what, method),
        other => panic!("{other}"),
    };
    let new = || KinesisSink::<String>::builder();
    let error = new().stream("orders").schema(Utf8).default_partition("k").build().await.unwrap_err();
    assert_eq!(missing(error), ("producer", "producer"));
    let error = new().producer(producer.clone()).stream("orders").default_partition("k").build().await.unwrap_err();
    assert_eq!(missing(error), ("schema", "schema"));
    let error = new().producer(producer.clone()).stream("orders").schema(Utf8).build().await.unwrap_err();
    assert_eq!(missing(error), ("partitioner", "partitioner"));
    let error = new().producer(producer).schema(Utf8).default_partition("k").build().await.unwrap_err();
    assert_eq!(error.to_string(), "sink not built: it has no stream; call `stream`");
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    assert!(matches!(sink(&producer).queue_limit(0).build().await, Err(SinkBuildError::NoRoom)));
    for name in ["", "no name"] {
        let error = sink(&producer).stream(name).build().await.unwrap_err();
        assert!(matches!(error, SinkBuildError::InvalidStream(_)), "{name:?}: {error}");
    }
    let letters = async |_: DeadLetter| Ok::<(), BoxError>(());
    let error = sink(&producer).fail_on_error(true).dead_letters(letters).build().await.unwrap_err();
    assert!(matches!(error, SinkBuildError::DeadLettersUnused), "{error}");
}

#[tokio::test(start_paused = true)]
async fn schemas_and_partitioners_are_types_or_closures() {
    let kinesis = kinesis().build();
    let producer = producer(&kinesis).await;
    let new = KinesisSink::<Bytes>::builder().producer(producer.clone()).stream("orders").schema(RawBytes);
    let fixed = new.partitioner(FixedPartitioner::new(3, 4).unwrap()).build().await.unwrap();
    fixed.write(&Bytes::from_static(b"bytes")).await.unwrap();
    let new = KinesisSink::<u8>::builder().producer(producer).stream("orders");
    let new = new.schema(|number: &u8| Ok::<_, BoxError>(Bytes::from(number.to_string())));
    let random = new.partitioner(RandomPartitioner::default()).build().await.unwrap();
    random.write(&7).await.unwrap();
    fixed.flush().await.unwrap();
    random.flush().await.unwrap();
    let mut stored = crate::support::stored(&kinesis, "orders");
    stored.sort_by_key(|(_, data)| data.clone());
    assert_eq!(stored[1], ("3".to_owned(), "bytes".to_owned()));
    assert_eq!((stored[0].0.len(), stored[0].1.as_str()), (36, "7"));
    assert!(format!("{fixed:?}").contains("orders"));
}
