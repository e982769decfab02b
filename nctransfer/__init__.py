"""How collapsed are a pre-trained model's features, and what does that say about transferring it?"""
