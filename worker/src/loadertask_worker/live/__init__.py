"""What a stream says, put in order without holes and without repetitions: machines without I/O.

They are given updates, answers and the time, and return what to publish. They know no venue's
spelling, no clock and no Kafka.
"""
