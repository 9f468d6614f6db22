"""`python -m serving stream`: messages of SQS, Kinesis and Kafka scored as they come, at least once."""
