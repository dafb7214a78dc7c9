"""What was followed becomes annotations: tracks and masks, the changes of each job, sent and taken back."""
